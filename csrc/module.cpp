// The native module mmhash._core: arguments in, results out. What a function does is in values/; what it
// promises is in docstrings.h.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "algorithms/xxh3/dispatch.h"
#include "cache/cache.h"
#include "cache/owners.h"
#include "cache/validity.h"
#include "devices/device_hash.h"
#include "docstrings.h"
#include "identity/thread_pool.h"
#include "identity/tree.h"
#include "intake/counters.h"
#include "intake/gil.h"
#include "intake/tensor_view.h"
#include "values/containers.h"
#include "values/identity.h"
#include "values/images.h"
#include "values/payloads.h"
#include "values/pending.h"
#include "values/pieces.h"
#include "values/plain_hashes.h"

namespace mmhash {
namespace {

py::bytes to_bytes(const Algorithm& algorithm, const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), algorithm.digest_bytes};
}

// Most significant byte first, from the first `count` bytes of a digest.
std::uint64_t big_endian_64(const std::uint8_t* bytes) {
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) {
    number = number << 8 | bytes[i];
  }
  return number;
}

py::object identity_bytes(py::handle value, bool use_cache) {
  return to_bytes(xxh3(), identity(value, {xxh3(), use_cache}));
}

py::object feature_hash(py::handle feature, bool use_cache) {
  if (feature.is_none()) {
    throw py::type_error(
        "hash_feature expected a feature (tensor, array, buffer, or a nested list of them), found None; "
        "pass the item's feature or its precomputed embeddings");
  }
  return py::int_(big_endian_64(identity(feature, {xxh3(), use_cache}).data()));
}

// The arguments of (value, /, *, cache=True).
std::pair<py::handle, bool> parse_value_and_cache(const char* function, PyObject* const* arguments,
                                                  Py_ssize_t positional, PyObject* keywords) {
  if (positional != 1) {
    throw py::type_error(std::string(function) + "() takes exactly one positional argument (" +
                         std::to_string(positional) + " given)");
  }
  bool use_cache = true;
  const Py_ssize_t count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, i);
    if (PyUnicode_CompareWithASCIIString(keyword, "cache") != 0) {
      throw py::type_error(std::string(function) + "() got an unexpected keyword argument '" +
                           std::string(py::str(keyword)) + "'; it takes 'cache'");
    }
    const int truth = PyObject_IsTrue(arguments[positional + i]);
    if (truth < 0) {
      throw py::error_already_set();
    }
    use_cache = truth != 0;
  }
  return {arguments[0], use_cache};
}

// identity() and hash_feature() are plain vectorcall functions, because pybind11's dispatcher costs 50 of
// the 350 ns that the identity of a 4 KiB tensor takes. The exceptions are those that it would translate.
template <py::object (*kFunction)(py::handle, bool), const char* kName>
PyObject* call(PyObject*, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  try {
    const auto [value, use_cache] = parse_value_and_cache(kName, arguments, positional, keywords);
    return kFunction(value, use_cache).release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::length_error& error) {  // a container of more than memory can hold
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

// A number as text; one of more digits than Python converts (4300) by its size.
std::string int_text(py::handle number) {
  try {
    return py::str(number);
  } catch (py::error_already_set&) {
    return "a larger number";
  }
}

std::uint64_t to_seed(py::handle seed) {
  if (PyLong_Check(seed.ptr())) {
    const std::uint64_t value = PyLong_AsUnsignedLongLong(seed.ptr());
    if (PyErr_Occurred() == nullptr) {
      return value;
    }
    PyErr_Clear();
    throw py::value_error("seed: expected an int from 0 to 2**64 - 1, found " + int_text(seed));
  }
  throw py::type_error("seed: expected an int from 0 to 2**64 - 1, found a " + type_name(seed));
}

std::uint64_t py_xxh3_64(py::handle data, py::handle seed) {
  return plain_xxh3_64(data, to_seed(seed));
}

py::int_ py_xxh3_128(py::handle data, py::handle seed) {
  const Xxh3Digest digest = plain_xxh3_128(data, to_seed(seed));
  const py::int_ high(big_endian_64(digest.data()));
  const py::int_ low(big_endian_64(digest.data() + 8));
  return py::int_((high << py::int_(64)) | low);
}

void py_set_num_threads(py::handle n) {
  const bool is_int = PyLong_Check(n.ptr()) && !PyBool_Check(n.ptr());
  if (!is_int) {
    throw py::type_error("expected the number of threads as an int, found a " + type_name(n));
  }
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(n.ptr(), &overflow);
  if (overflow != 0 || number < 1 || number > kMaxThreads) {
    throw py::value_error("expected a number of threads from 1 to " + std::to_string(kMaxThreads) +
                          ", found " + int_text(n));
  }
  set_num_threads(static_cast<unsigned>(number));
}

std::uintptr_t data_pointer(py::handle value) {
  TensorView view;
  if (!read_tensor(value, view) && !read_buffer(value, view)) {
    throw py::type_error("expected a tensor or a buffer, found a " + type_name(value));
  }
  return reinterpret_cast<std::uintptr_t>(view.payload().in_place() ? view.payload().data() : nullptr);
}

std::string xxhash_version() {
  const unsigned version = mmhash_xxhash_version();
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

py::dict native_info() {
  using namespace py::literals;
  py::list available;
  for (const std::string& isa : available_isas()) {
    available.append(isa);
  }
  const auto or_none = [](const std::string& text) {
    return text.empty() || text == "none" ? py::object(py::none()) : py::str(text);
  };
  return py::dict("isa"_a = kernel().isa, "isa_available"_a = available, "num_threads"_a = num_threads(),
                  "xxhash"_a = xxhash_version(), "tensor_intake"_a = or_none(torch_intake()),
                  "device_path"_a = or_none(device_path()),
                  "device_path_reason"_a = or_none(device_path_reason()),
                  "gil_release_bytes"_a = kGilReleaseBytes, "parallel_bytes"_a = kParallelBytes,
                  "cache_min_bytes"_a = kCacheMinBytes,
                  "slow_paths"_a = py::dict("gathered"_a = counters.gathered.load(),
                                            "attributes"_a = counters.attributes.load(),
                                            "device_copies"_a = counters.device_copies.load()));
}

constexpr char kIdentityName[] = "identity";
constexpr char kHashFeatureName[] = "hash_feature";

template <py::object (*kFunction)(py::handle, bool), const char* kName>
PyMethodDef method(const char* doc) {
  // CPython's own way to put a function with another signature into the table.
  auto* function = reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call<kFunction, kName>));
  return {kName, function, METH_FASTCALL | METH_KEYWORDS, doc};
}

PyMethodDef kHotFunctions[] = {
    method<identity_bytes, kIdentityName>(kIdentityDoc),
    method<feature_hash, kHashFeatureName>(kHashFeatureDoc),
    {nullptr, nullptr, 0, nullptr},
};

// A name out of a table of ours. pybind11's conversion would answer for a str that has no UTF-8, such as an
// environment variable of other bytes, with a TypeError about the overloads of a function; here it becomes a
// name that the table does not have, spelled as its repr() is.
std::string name_text(const char* of, py::handle name) {
  if (!PyUnicode_Check(name.ptr())) {
    throw py::type_error(std::string("expected the name of ") + of + " as a str, found a " + type_name(name));
  }
  std::string text;
  const auto encoded =
      py::reinterpret_steal<py::bytes>(PyUnicode_AsEncodedString(name.ptr(), "utf-8", "backslashreplace"));
  if (!encoded) {
    throw py::error_already_set();
  }
  for (const char character : std::string_view(encoded)) {
    // what() of an exception ends at the first NUL.
    text += character == '\0' ? std::string("\\x00") : std::string(1, character);
  }
  return text;
}

py::tuple cache_stats() {
  const CacheStats stats = cache().stats();
  return py::make_tuple(stats.hits, stats.misses, stats.bypasses, stats.evictions, stats.invalidations,
                        stats.maxsize, stats.currsize);
}

void cache_clear() {
  Dropped dropped;
  cache().clear(dropped);
}

void cache_resize(std::size_t maxsize) {
  Dropped dropped;
  cache().resize(maxsize, dropped);
}

void define_pending(py::module_& m) {
  py::class_<PendingIdentity>(m, "PendingIdentity", py::is_final(), kPendingIdentityDoc)
      .def("done", &PendingIdentity::done, kDoneDoc)
      .def(
          "result",
          [](PendingIdentity& pending) {
            const Digest digest = pending.result();
            return to_bytes(pending.algorithm(), digest);
          },
          kResultDoc);
  m.def(
      "identity_async", [](py::handle value) { return std::make_unique<PendingIdentity>(value, xxh3()); },
      py::arg("value"), py::pos_only(), kIdentityAsyncDoc);
}

}  // namespace

// pybind11's part of the module: its entry point is called by PyInit__core, which is in entry.cpp.
PYBIND11_MODULE(bindings, m) {
  py::options options;
  options.disable_function_signatures();
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      std::rethrow_exception(pointer);
    } catch (const Unsupported& unsupported) {
      const std::string message = "cannot take " + unsupported.what + "; " + unsupported.remedy;
      PyErr_SetString(PyExc_TypeError, message.c_str());
    }
  });
  m.doc() = "The native part of mmhash; use the names of the package instead.";

  if (PyModule_AddFunctions(m.ptr(), kHotFunctions) != 0) {
    throw py::error_already_set();
  }

  find_mapping_type();

  m.def("xxh3_64", &py_xxh3_64, py::arg("data"), py::pos_only(), py::kw_only(), py::arg("seed") = py::int_(0),
        kXxh3_64Doc);

  m.def("xxh3_128", &py_xxh3_128, py::arg("data"), py::pos_only(), py::kw_only(),
        py::arg("seed") = py::int_(0), kXxh3_128Doc);

  m.def("set_num_threads", &py_set_num_threads, py::arg("n"), py::pos_only(), kSetNumThreadsDoc);

  m.def("get_num_threads", &num_threads, kGetNumThreadsDoc);

  define_pending(m);

  // For mmhash's own modules, tests and benches.
  m.def("info", &native_info);
  m.def("isa", [] { return kernel().isa; });
  m.def("set_isa", [](py::handle name) { set_isa(name_text("an instruction set", name)); });
  m.def("tensor_intake", &torch_intake);
  m.def("set_tensor_intake", [](py::handle name) { set_torch_intake(name_text("a tensor intake", name)); });
  m.def("set_device_path", [](py::handle name) { set_device_path(name_text("a device path", name)); });
  m.def("cache_stats", &cache_stats);
  m.def("cache_clear", &cache_clear);
  m.def("cache_resize", &cache_resize);
  m.def("freeze", &freeze);
  m.def("forget", &forget);
  m.def("thaw", &thaw);
  m.def("load_image", &load_image, py::arg("image"), py::pos_only(),
        "image.load() of a PIL image, as identity() does it: by one thread at a time, and what failed once "
        "raises the same each time.");
  m.def("load_images", &load_images, py::arg("value"), py::pos_only(),
        "load_image() of all PIL images in nested lists, tuples and mappings; passes over all else.");
  m.def("data_pointer", &data_pointer,
        "The address that hashing would read in place, or 0 if it would gather.");
  m.def(
      "identity_from_pieces",
      [](py::handle dtype, const py::tuple& shape, const py::iterable& pieces, py::handle algorithm) {
        const Algorithm& found = find_algorithm(name_text("an algorithm", algorithm));
        return to_bytes(found, identity_from_pieces(found, name_text("a dtype", dtype), shape, pieces));
      },
      py::arg("dtype"), py::arg("shape"), py::arg("pieces"), py::arg("algorithm") = "xxh3");
  m.def(
      "bytes_identity_from_pieces",
      [](std::size_t size, const py::iterable& pieces, py::handle algorithm) {
        const Algorithm& found = find_algorithm(name_text("an algorithm", algorithm));
        return to_bytes(found, bytes_identity_from_pieces(found, size, pieces));
      },
      py::arg("size"), py::arg("pieces"), py::arg("algorithm") = "xxh3");
}

}  // namespace mmhash
