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

#include "algorithm_argument.h"
#include "algorithms/xxh3/dispatch.h"
#include "cache/cache.h"
#include "cache/owners.h"
#include "cache/validity.h"
#include "devices/device_hash.h"
#include "docstrings.h"
#include "hot_functions.h"
#include "identity/thread_pool.h"
#include "identity/tree.h"
#include "intake/counters.h"
#include "intake/gil.h"
#include "intake/tensor_view.h"
#include "pending_type.h"
#include "python_errors.h"
#include "values/containers.h"
#include "values/handover.h"
#include "values/identity.h"
#include "values/images.h"
#include "values/payloads.h"
#include "values/pieces.h"
#include "values/plain_hashes.h"

namespace mmhash {
namespace {

// A number as text; one of more digits than Python converts (4300) by its size.
std::string int_text(py::handle number) {
  try {
    return py::str(number);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError)) {
      throw;
    }
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

py::int_ py_xxh3_64(py::handle data, py::handle seed) {
  return py::int_(plain_xxh3_64(data, to_seed(seed)));
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

std::int64_t to_offset(py::handle offset) {
  const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(offset.ptr()));
  if (!index) {
    throw py::error_already_set();
  }
  const long long number = PyLong_AsLongLong(index.ptr());
  if (number == -1 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw py::value_error("offset: expected one from 0 to 2**63 - 1, found " + int_text(offset));
  }
  return number;
}

void define_handover(py::module_& m) {
  m.def(
      "write",
      [](py::handle fd, py::handle value, py::handle offset, py::handle algorithm, py::handle key) {
        const ChosenAlgorithm chosen = choose_algorithm(algorithm, key);
        const int descriptor = PyObject_AsFileDescriptor(fd.ptr());
        if (descriptor < 0) {
          throw py::error_already_set();
        }
        return chosen.to_bytes(write_value(*chosen.algorithm, descriptor, to_offset(offset), value));
      },
      py::arg("fd"), py::arg("value"), py::pos_only(), py::kw_only(), py::arg("offset") = 0,
      py::arg("algorithm") = py::none(), py::arg("key") = py::none(), kWriteDoc);
  m.def(
      "copy",
      [](py::handle destination, py::handle source, py::handle algorithm, py::handle key) {
        const ChosenAlgorithm chosen = choose_algorithm(algorithm, key);
        return chosen.to_bytes(copy_value(*chosen.algorithm, destination, source));
      },
      py::arg("destination"), py::arg("source"), py::pos_only(), py::kw_only(),
      py::arg("algorithm") = py::none(), py::arg("key") = py::none(), kCopyDoc);
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
    } catch (const std::runtime_error&) {
      if (!memory_error_is_set()) {
        throw;
      }
    }
  });
  m.doc() = "The native part of mmhash; use the names of the package instead.";

  add_hot_functions(m);
  define_algorithms(m);

  find_mapping_type();

  m.def("xxh3_64", &py_xxh3_64, py::arg("data"), py::pos_only(), py::kw_only(), py::arg("seed") = py::int_(0),
        kXxh3_64Doc);

  m.def("xxh3_128", &py_xxh3_128, py::arg("data"), py::pos_only(), py::kw_only(),
        py::arg("seed") = py::int_(0), kXxh3_128Doc);

  m.def("set_num_threads", &py_set_num_threads, py::arg("n"), py::pos_only(), kSetNumThreadsDoc);

  m.def("get_num_threads", &num_threads, kGetNumThreadsDoc);

  define_pending_type(m);
  define_handover(m);

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
      [](py::handle dtype, py::handle shape, py::handle pieces, py::handle algorithm, py::handle key) {
        const ChosenAlgorithm chosen = choose_algorithm(algorithm, key);
        return chosen.to_bytes(identity_from_pieces(*chosen.algorithm, name_text("a dtype", dtype),
                                                    py::tuple(py::reinterpret_borrow<py::object>(shape)),
                                                    pieces));
      },
      py::arg("dtype"), py::arg("shape"), py::arg("pieces"), py::arg("algorithm") = py::none(),
      py::arg("key") = py::none());
  m.def(
      "bytes_identity_from_pieces",
      [](std::size_t size, py::handle pieces, py::handle algorithm, py::handle key) {
        const ChosenAlgorithm chosen = choose_algorithm(algorithm, key);
        return chosen.to_bytes(bytes_identity_from_pieces(*chosen.algorithm, size, pieces));
      },
      py::arg("size"), py::arg("pieces"), py::arg("algorithm") = py::none(), py::arg("key") = py::none());
}

}  // namespace mmhash
