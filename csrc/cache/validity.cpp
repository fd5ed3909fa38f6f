#include "cache/validity.h"

#include <cstring>

#include "intake/torch_names.h"

// kCacheMinBytes: on Zen 3 a hit costs 0.5 us, hashing 16 KiB as much, and making an entry (sentinel, weak
// reference, nodes) 4 us, as much as hashing 128 KiB. So from there on one hit pays for the miss before it.

namespace mmhash {
namespace {

// What a sentinel's data is: a CPU tensor of no elements. Null under a mode that makes other tensors of it.
PyObject* empty_tensor() {
  static PyObject* kept = nullptr;
  if (kept == nullptr) {
    py::object made = py::module_::import("torch").attr("empty")(0, py::arg("device") = "cpu");
    if (is_plain_torch_tensor(made) && py::cast<bool>(made.attr("is_cpu"))) {
      kept = made.release().ptr();
    }
  }
  return kept;
}

// The cache must not make fail what hashing without it does: what torch refuses (NotImplementedError of a
// storage that there is not), or what a mode of the caller's raises (FakeTensorMode of a real tensor), means
// "not cached". But an interrupt is the caller's, and so is a lack of memory.
bool is_no_answer(const py::error_already_set& error) {
  return error.matches(PyExc_Exception) && !error.matches(PyExc_MemoryError);
}

// False if it has none: an inference tensor.
bool read_version(py::handle tensor, std::uint64_t& version) {
  PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(tensor.ptr()));
  PyObject* property = torch_names.version;
  if (property == nullptr) {
    return false;
  }
  const auto found =
      py::reinterpret_steal<py::object>(Py_TYPE(property)->tp_descr_get(property, tensor.ptr(), type));
  if (found) {
    version = PyLong_AsUnsignedLongLong(found.ptr());
  }
  if (PyErr_Occurred() == nullptr) {
    return true;
  }
  if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError)) {
    throw py::error_already_set();
  }
  PyErr_Clear();
  return false;
}

Xxh3Digest layout_digest(const TensorView& view, bool buffer) {
  // Exact and unambiguous; hashed only so that a key has one size.
  std::uint8_t bytes[8 + 2 * 8 * kMaxDims];
  const Transform& transform = view.transform;
  const std::size_t ndim = view.shape().size();
  bytes[0] = static_cast<std::uint8_t>(view.dtype - kDtypes.data());
  bytes[1] = static_cast<std::uint8_t>(transform.swap_bytes + 2 * transform.conjugate + 4 * transform.negate);
  bytes[2] = static_cast<std::uint8_t>(ndim);
  bytes[3] = buffer;  // its frame is another than that of a tensor of bytes
  std::size_t size = 4;
  for (const auto part : {view.shape(), view.strides()}) {
    std::memcpy(bytes + size, part.data(), part.size_bytes());
    size += part.size_bytes();
  }
  return xxh3_128(bytes, size);
}

void describe_torch(py::handle value, const TensorView& view, Lookup& lookup) {
  lookup.owner = call_torch(torch_names.untyped_storage, value);
  lookup.torch = true;
  lookup.counted = read_version(value, lookup.version);
  lookup.lazy = view.transform.conjugate || view.transform.negate;
}

bool is_cacheable(py::handle value, const TensorView& view, const Lookup& lookup) {
  if (!lookup.counted || call_torch(torch_names.resizable, lookup.owner).ptr() != Py_True) {
    return false;
  }
  if (call_torch(torch_names.is_inference, value).ptr() == Py_True) {
    return false;  // one that was detached has a counter all the same, which inference mode does not use
  }
  if (!view.device.is_host()) {
    return view.device.is_cuda();  // what came from another process by CUDA IPC is not resizable
  }
  // Asked of a lazily conjugated or negated tensor, is_pinned() would copy it, and tell of the copy. The
  // storage takes 20 times as long to answer.
  const py::object pinned = lookup.lazy ? call_torch(torch_names.storage_is_pinned, lookup.owner)
                                        : call_torch(torch_names.is_pinned, value);
  return call_torch(torch_names.is_shared, lookup.owner).ptr() == Py_False && pinned.ptr() == Py_False;
}

bool proves(const Validator& validator, const Lookup& lookup) {
  if (validator.sentinel == nullptr) {
    return !lookup.counted;  // frozen, and without a counter
  }
  std::uint64_t version = 0;
  return lookup.counted && lookup.version == validator.version &&
         read_version(static_cast<PyObject*>(validator.sentinel), version) && version == validator.version &&
         (validator.frozen || call_torch(torch_names.resizable, lookup.owner).ptr() == Py_True);
}

}  // namespace

bool make_lookup(py::handle value, const TensorView& view, const Algorithm& algorithm, Lookup& lookup) {
  const bool torch = is_torch_tensor(value);
  if (view.temporary || (torch && !is_plain_torch_tensor(value))) {
    return false;  // a subclass may have overridden what the proof rests on
  }
  const bool array = !torch && is_numpy_array(value);
  try {
    if (torch) {
      describe_torch(value, view, lookup);
    } else {
      if (!any_frozen()) {
        return false;
      }
      lookup.owner = array ? owner_array(value) : py::reinterpret_borrow<py::object>(value);
      if (!is_frozen(address(lookup.owner.ptr()))) {
        return false;
      }
    }
  } catch (py::error_already_set& error) {
    if (!is_no_answer(error)) {
      throw;
    }
    return false;
  }
  lookup.key.owner = address(lookup.owner.ptr());
  lookup.key.data = address(view.data);
  lookup.key.algorithm = algorithm.serial;
  lookup.key.layout = layout_digest(view, !torch && !array);
  return lookup.key.data != 0;
}

bool is_current(const Validator& validator, const Lookup& lookup) {
  if (!refers_to(validator.owner, lookup.key.owner)) {
    return false;
  }
  if (!lookup.torch) {
    return is_frozen(lookup.key.owner);
  }
  try {
    return proves(validator, lookup);
  } catch (py::error_already_set& error) {
    if (!is_no_answer(error)) {
      throw;
    }
    return false;
  }
}

NewEntry::NewEntry(py::handle value, const TensorView& view, const Lookup& lookup) : lookup_(lookup) {
  try {
    validator_.frozen = is_frozen(lookup.key.owner);
    if (!validator_.frozen && !(lookup.torch && is_cacheable(value, view, lookup))) {
      return;
    }
    const auto [begin, end] = view.extent();
    validator_.memory = {begin, end};
    validator_.owner = refer_to(lookup.owner);
    validator_.version = lookup.version;
    if (lookup.counted) {
      py::object sentinel = call_torch(torch_names.detach, value);
      PyObject* empty = empty_tensor();
      // A mode that redirects torch's functions may have made it something else, which counts nothing.
      if (empty == nullptr || !is_plain_torch_tensor(sentinel) ||
          call_torch(torch_names.untyped_storage, sentinel).ptr() != lookup.owner.ptr()) {
        return;
      }
      if (PyObject_SetAttrString(sentinel.ptr(), "data", empty) != 0) {
        throw py::error_already_set();
      }
      if (call_torch(torch_names.untyped_storage, sentinel).ptr() == lookup.owner.ptr()) {
        return;  // it would keep the memory alive
      }
      validator_.sentinel = sentinel.release().ptr();
    }
    // Torch's functions release the GIL: another thread may have given the tensor another storage since. And
    // torch before 2.1 makes a new object for a storage each time it is asked, which ends with `lookup`.
    made_ = is_current(validator_, lookup) &&
            (!lookup.torch || call_torch(torch_names.untyped_storage, value).ptr() == lookup.owner.ptr());
  } catch (py::error_already_set& error) {
    made_ = false;
    if (!is_no_answer(error)) {
      release(validator_);  // a constructor that throws has no destructor
      throw;
    }
  } catch (const Unsupported&) {
    made_ = false;
  }
}

NewEntry::~NewEntry() {
  release(validator_);
}

void NewEntry::store(const Digest& digest, std::uint64_t forgets) {
  Dropped dropped;
  cache().insert(lookup_.key, digest, validator_, forgets, dropped);
  validator_ = {};  // the cache's now
}

}  // namespace mmhash
