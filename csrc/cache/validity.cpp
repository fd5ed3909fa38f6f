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

// False if it has none: an inference tensor.
bool read_version(py::handle tensor, std::uint64_t& version) {
  PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(tensor.ptr()));
  PyObject* property = torch_names.version;
  PyObject* found = Py_TYPE(property)->tp_descr_get(property, tensor.ptr(), type);
  if (found == nullptr) {
    if (!PyErr_ExceptionMatches(PyExc_RuntimeError)) {
      throw py::error_already_set();
    }
    PyErr_Clear();
    return false;
  }
  version = PyLong_AsUnsignedLongLong(found);
  Py_DECREF(found);
  if (PyErr_Occurred() != nullptr) {
    throw py::error_already_set();
  }
  return true;
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

}  // namespace

bool make_lookup(py::handle value, const TensorView& view, const Algorithm& algorithm, Lookup& lookup) {
  if (view.temporary || (is_torch_tensor(value) && !is_plain_torch_tensor(value))) {
    return false;  // a subclass may have overridden what the proof rests on
  }
  if (is_torch_tensor(value)) {
    lookup.owner = call_torch(torch_names.untyped_storage, value);
    lookup.torch = true;
    lookup.counted = read_version(value, lookup.version);
    lookup.lazy = view.transform.conjugate || view.transform.negate;
  } else if (is_numpy_array(value)) {
    lookup.owner = owner_array(value, lookup.writable);
  } else {
    lookup.writable = true;  // a buffer says at most that it cannot be written through this export
    lookup.owner = py::reinterpret_borrow<py::object>(value);
  }
  lookup.key.owner = address(lookup.owner.ptr());
  lookup.key.data = address(view.data);
  lookup.key.algorithm = &algorithm;
  lookup.key.layout = layout_digest(view, !lookup.torch && !is_numpy_array(value));
  return lookup.key.data != 0;
}

bool is_current(const Validator& validator, const Lookup& lookup) {
  if (!refers_to(validator.owner, lookup.key.owner)) {
    return false;
  }
  if (!lookup.torch) {
    return !lookup.writable || is_frozen(lookup.key.owner);
  }
  if (validator.sentinel == nullptr) {
    return !lookup.counted;  // frozen, and without a counter
  }
  std::uint64_t version = 0;
  return lookup.counted && lookup.version == validator.version &&
         read_version(static_cast<PyObject*>(validator.sentinel), version) && version == validator.version &&
         (validator.frozen || call_torch(torch_names.resizable, lookup.owner).ptr() == Py_True);
}

bool is_cacheable(py::handle value, const TensorView& view, const Lookup& lookup) {
  if (!lookup.torch) {
    return !lookup.writable;
  }
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

NewEntry::NewEntry(py::handle value, const TensorView& view, const Lookup& lookup) : lookup_(lookup) {
  try {
    validator_.frozen = is_frozen(lookup.key.owner);
    if (!validator_.frozen && !is_cacheable(value, view, lookup)) {
      return;
    }
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
    if (!is_refusal(error)) {
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
