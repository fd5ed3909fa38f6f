// The native module mmhash._core: arguments in, results out. What a function does is in walk.h and leaf.h;
// what it promises is in its docstring.
#include <pybind11/pybind11.h>

#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "algorithms/xxh3/dispatch.h"
#include "cache/cache.h"
#include "cache/watch.h"
#include "devices/device_hash.h"
#include "identity/thread_pool.h"
#include "intake/counters.h"
#include "intake/gil.h"
#include "intake/tensor_view.h"
#include "values/images.h"
#include "values/leaf.h"
#include "values/pending.h"
#include "values/walk.h"

namespace mmhash {
namespace {

py::bytes to_bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
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
  return to_bytes(identity(value, use_cache));
}

py::object feature_hash(py::handle feature, bool use_cache) {
  if (feature.is_none()) {
    throw py::type_error(
        "hash_feature expected a feature (tensor, array, buffer, or a nested list of them), found None; "
        "pass the item's feature or its precomputed embeddings");
  }
  return py::int_(big_endian_64(identity(feature, use_cache).data()));
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

// A buffer or CPU tensor whose bytes lie in one piece, for the plain hashes.
void read_contiguous(py::handle data, TensorView& view) {
  try {
    if (!read_tensor(data, view) && !read_buffer(data, view)) {
      throw Unsupported{"a " + type_name(data), "encode a str to bytes; use identity() for other values"};
    }
    if (view.on_device) {
      throw Unsupported{"a " + type_name(data) + " that is not on the CPU",
                        "call .cpu() first, or use identity()"};
    }
    if (view.bytes() >= kHoldBytes) {
      hold_memory(data, view);
    }
  } catch (const Unsupported& unsupported) {
    throw py::type_error("expected a buffer or a contiguous CPU tensor, found " + unsupported.what + "; " +
                         unsupported.remedy);
  }
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

template <typename F>
void with_contiguous_bytes(py::handle data, F f) {
  TensorView view;
  read_contiguous(data, view);
  view.transform.swap_bytes = false;  // the bytes as they stand
  if (!view.transform.none()) {
    throw py::value_error(
        "expected the bytes of the elements, found a " + type_name(data) +
        " with a lazy conjugate or negative bit; call .resolve_conj() and .resolve_neg() first");
  }
  const Payload payload = view.payload();
  if (!payload.in_place()) {
    throw py::value_error("expected contiguous memory, found a strided " + type_name(data) +
                          "; make it contiguous, or use identity(), which reads any layout");
  }
  if (payload.size() < kGilReleaseBytes) {
    f(payload.data(), payload.size());
  } else {
    without_gil([&] { f(payload.data(), payload.size()); });
  }
}

std::uint64_t py_xxh3_64(py::handle data, py::handle seed) {
  const std::uint64_t number = to_seed(seed);
  std::uint64_t hash = 0;
  with_contiguous_bytes(
      data, [&](const std::byte* bytes, std::size_t size) { hash = kernel().hash64(bytes, size, number); });
  return hash;
}

py::int_ py_xxh3_128(py::handle data, py::handle seed) {
  const std::uint64_t number = to_seed(seed);
  Digest digest;
  with_contiguous_bytes(data, [&](const std::byte* bytes, std::size_t size) {
    kernel().hash128(bytes, size, number, digest.data());
  });
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

constexpr const char* kIdentityDoc = R"(identity($module, value, /, *, cache=True)
--

The identity of a value: a 16-byte digest of what it is, wherever and however it is stored.

`value` is None, a bool, int, float, complex or str; a tensor or array (torch.Tensor, numpy.ndarray, a NumPy
scalar, anything with __dlpack__) of any shape, strides and device and of the dtypes bool, (u)int8 to 64,
float16, bfloat16, float32, float64, complex64, complex128 and torch's 8-bit floats; a PIL image; any other
object with the buffer protocol; or a list, tuple or mapping of these. The same elements with the same dtype
and shape have one identity in NumPy and torch, contiguous or strided, on the CPU or a GPU.

Contiguous memory is read in place; strided memory through at most 64 KiB of scratch a thread. Payloads of
256 KiB and more are hashed without the GIL, of 4 MiB and more by get_num_threads() threads; the digest does
not depend on it. Safe to call from any thread. Memory that another thread writes meanwhile gives the digest
of some mixture.

A PIL image is what Pillow gives of the current frame: mode, size, palette, transparency and tobytes(). So
16-bit RGB PNGs count by the 8 bits that Pillow keeps, an EXIF orientation does not turn the pixels unless
Pillow itself does so (TIFF) or ImageOps.exif_transpose() did, and other frames do not show. An unread file is
loaded by one thread at a time, images of one file object included; the others wait without the GIL. An image that
failed to load raises the same each time, though Pillow itself would give black pixels the second time: open
its file again. Threads that call the image's own load(), seek() or crop() meanwhile are not waited for, and
a load() that failed before mmhash saw the image often cannot be told from one that succeeded.

The identity of a torch tensor of 128 KiB or more, or of such a NumPy array that is read-only down to its owner,
is kept in a cache and found again while `_version` tells of no write; nothing of the tensor is kept alive. A write that
leaves `_version` as it is (through .data, untyped_storage(), DLPack or a raw pointer, by collectives, fused
optimizers, batch norm's statistics, custom kernels or replayed CUDA graphs, through inference tensors over the same storage; csrc/cache/cache.h has
the list), or into an array that was made writable for it, is not seen: call forget(x) after one. MMHASH_CACHE_SIZE=0
turns the cache off, and cache=False for one call.

Raises TypeError for a value that has no identity (object, string, datetime and longdouble arrays; sparse,
quantized, nested and meta tensors; sets; other classes), naming where in a nested value it stands;
ValueError for one that contains itself or is nested deeper than 1,000 levels; RuntimeError for an image that
this thread is loading already; and whatever the value's own methods raise, an image's with its type and the
place before the message.

>>> mmhash.identity([1, "image"]).hex()
'deb24704e56c484dc40b971d7463d1b3'
>>> mmhash.identity({"images": [{1, 2}]})
Traceback (most recent call last):
TypeError: no identity for value["images"][0]: a set; expected None, a number, ...

The format is frozen (docs/SPEC.md): XXH3-128 (https://xxhash.com) over leaves of 8 KiB and a typed frame. XXH3
is not cryptographic: whoever chooses the content can make two contents with one identity.
)";

constexpr const char* kHashFeatureDoc = R"(hash_feature($module, feature, /, *, cache=True)
--

The first 64 bits of identity(feature), as a non-negative int.

Takes the place of sglang.srt.managers.mm_utils.hash_feature, for every kind of feature: a tensor on any
device, an array, a buffer, or a nested list of them. Threads, GIL, copies, cache and errors are those of identity();
None, which stands for a feature that was released, is a TypeError.

>>> mmhash.hash_feature(b"pixels") == int.from_bytes(mmhash.identity(b"pixels")[:8], "big")
True
>>> mmhash.hash_feature(None)
Traceback (most recent call last):
TypeError: hash_feature expected a feature (tensor, array, buffer, or a nested list of them), found None; ...
)";

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

}  // namespace

PYBIND11_MODULE(_core, m) {
  // The docstrings carry their own signature line, which inspect.signature() reads.
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

  PyModule_AddFunctions(m.ptr(), kHotFunctions);

  m.def("xxh3_64", &py_xxh3_64, py::arg("data"), py::pos_only(), py::kw_only(), py::arg("seed") = py::int_(0),
        R"(xxh3_64($module, data, /, *, seed=0)
--

Plain XXH3-64 of the bytes of `data`, as an int: equal to xxhash.xxh3_64_intdigest(data, seed).

`data` is any object with the buffer protocol or a contiguous tensor on the CPU; no copy is made. `seed` is an
int from 0 to 2**64 - 1. One thread; the GIL is released from 256 KiB on. Neither dtype nor shape nor
length enter into it: identity() is what tells values apart.

Raises TypeError for anything else (a str: encode it), and ValueError for memory that is not contiguous or a
seed out of range.

>>> hex(mmhash.xxh3_64(b"abc"))
'0x78af5f94892f3950'
>>> mmhash.xxh3_64("abc")
Traceback (most recent call last):
TypeError: expected a buffer or a contiguous CPU tensor, found a str; encode a str to bytes; ...
)");

  m.def("xxh3_128", &py_xxh3_128, py::arg("data"), py::pos_only(), py::kw_only(),
        py::arg("seed") = py::int_(0),
        R"(xxh3_128($module, data, /, *, seed=0)
--

Plain XXH3-128 of the bytes of `data`, as an int: equal to xxhash.xxh3_128_intdigest(data, seed).

Arguments, threads, GIL and errors are those of xxh3_64().

>>> hex(mmhash.xxh3_128(b"abc"))
'0x6b05ab6733a618578af5f94892f3950'
>>> mmhash.xxh3_128(b"abc", seed=-1)
Traceback (most recent call last):
ValueError: seed: expected an int from 0 to 2**64 - 1, found -1
)");

  m.def("set_num_threads", &py_set_num_threads, py::arg("n"), py::pos_only(),
        R"(set_num_threads($module, n, /)
--

How many threads one call of identity() or hash_feature() may use, the calling one included: 1 to 256.

For the whole process, from the next call on; any thread may set it. The pool grows when it is first needed
and its threads stay. Calls that run at the same time do not share the pool: one has it, the others hash on
their own thread and never wait. The default is the number of CPUs that the process may use, at most 4,
or the environment variable MMHASH_NUM_THREADS.

Raises TypeError for anything but an int, and ValueError for a number out of range.

>>> mmhash.set_num_threads(2)
>>> mmhash.set_num_threads(0)
Traceback (most recent call last):
ValueError: expected a number of threads from 1 to 256, found 0
)");

  m.def("get_num_threads", &num_threads, R"(get_num_threads($module, /)
--

How many threads one call may use; see set_num_threads().

>>> mmhash.get_num_threads() >= 1
True
)");

  define_pending(m);

  // For mmhash's own modules, tests and benches.
  m.def("info", &native_info);
  m.def("isa", [] { return kernel().isa; });
  m.def("set_isa", [](const std::string& name) { set_isa(name); });
  m.def("tensor_intake", &torch_intake);
  m.def("set_tensor_intake", &set_torch_intake);
  m.def("set_device_path", &set_device_path);
  m.def("cache_stats", &cache_stats);
  m.def("cache_clear", &cache_clear);
  m.def("cache_resize", &cache_resize);
  m.def("freeze", &freeze);
  m.def("forget", &forget);
  m.def("forget_owner", &forget_owner);
  m.def("load_image", &load_image, py::arg("image"), py::pos_only(),
        "image.load() of a PIL image, as identity() does it: by one thread at a time, and what failed once "
        "raises the same each time.");
  m.def("load_images", &load_images, py::arg("value"), py::pos_only(),
        "load_image() of all PIL images in nested lists, tuples and mappings; passes over all else.");
  m.def("data_pointer", &data_pointer,
        "The address that hashing would read in place, or 0 if it would gather.");
  m.def("identity_from_pieces",
        [](const std::string& dtype, const py::tuple& shape, const py::iterable& pieces) {
          return to_bytes(identity_from_pieces(dtype, shape, pieces));
        });
}

}  // namespace mmhash
