#include "cache/watch.h"

#include <cstring>
#include <new>
#include <unordered_map>
#include <utility>

// kCacheMinBytes: on Zen 3 a hit costs 0.5 us, hashing 16 KiB as much, and making an entry (sentinel, weak
// reference, nodes) 4 us, as much as hashing 128 KiB. So from there on one hit pays for the miss before it.

namespace mmhash {
namespace {

std::uint64_t address(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

// What is asked of torch, looked up once and kept for ever: descriptors of its types, since a call of one
// costs 20 ns less than looking the name up again. Only used once a torch tensor was seen.
struct Torch {
  static PyObject* of(const char* type, const char* name) {
    return py::object(py::module_::import("torch").attr(type).attr(name)).release().ptr();
  }
  PyObject* detach = of("Tensor", "detach");
  PyObject* is_inference = of("Tensor", "is_inference");
  PyObject* is_pinned = of("Tensor", "is_pinned");
  PyObject* is_shared = of("UntypedStorage", "is_shared");
  PyObject* resizable = of("UntypedStorage", "resizable");
  PyObject* storage_is_pinned = of("UntypedStorage", "is_pinned");
  PyObject* untyped_storage = of("Tensor", "untyped_storage");
  PyObject* version = of("Tensor", "_version");
};

const Torch& torch() {
  // No initializer: another thread would wait for it with the GIL, which looking up gives up.
  static const Torch* looked_up = nullptr;
  if (looked_up == nullptr) {
    looked_up = new Torch;
  }
  return *looked_up;
}

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

py::object checked(PyObject* result) {
  if (result == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(result);
}

py::object ask(py::handle object, PyObject* method) {
  PyObject* arguments[] = {object.ptr()};
  return checked(PyObject_Vectorcall(method, arguments, 1, nullptr));
}

// Null, with an exception set, if reading the attribute raised.
PyObject* get(py::handle object, PyObject* descriptor) {
  PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(object.ptr()));
  return Py_TYPE(descriptor)->tp_descr_get(descriptor, object.ptr(), type);
}

// Torch says RuntimeError of what a tensor does not have; everything else is not ours to swallow.
bool is_refusal(const py::error_already_set& error) {
  return error.matches(PyExc_RuntimeError);  // NotImplementedError is one
}

// False if it has none: an inference tensor.
bool read_version(py::handle tensor, std::uint64_t& version) {
  PyObject* found = get(tensor, torch().version);
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

// What is asked of NumPy: likewise, and because a subclass may define `base` and `flags` as it likes.
struct NumPy {
  PyObject* base = py::object(py::module_::import("numpy").attr("ndarray").attr("base")).release().ptr();
  PyObject* flags = py::object(py::module_::import("numpy").attr("ndarray").attr("flags")).release().ptr();
};

const NumPy& numpy() {
  static const NumPy* looked_up = nullptr;
  if (looked_up == nullptr) {
    looked_up = new NumPy;
  }
  return *looked_up;
}

// The array at the end of a NumPy array's chain of bases, which is kept alive by it: it owns the memory, or
// exports that of an object that is no array. `writable` tells if any array on the way can be written, or if
// the memory is neither the last array's own nor that of `bytes`, which are immutable but have no weak
// references.
py::object owner_array(py::handle array, bool& writable) {
  writable = false;
  py::object current = py::reinterpret_borrow<py::object>(array);
  for (;;) {
    const py::object flags = checked(get(current, numpy().flags));
    writable = writable || py::cast<bool>(flags.attr("writeable"));
    py::object base = checked(get(current, numpy().base));
    if (!is_numpy_array(base)) {
      const bool own = base.is_none() && py::cast<bool>(flags.attr("owndata"));
      writable = writable || !(own || PyBytes_CheckExact(base.ptr()));
      return current;
    }
    current = std::move(base);
  }
}

// The object whose life is that of the memory: torch's storage, the array that owns, or the value itself.
py::object owner_of(py::handle value) {
  if (is_torch_tensor(value)) {
    return ask(value, torch().untyped_storage);
  }
  bool writable = false;
  return is_numpy_array(value) ? owner_array(value, writable) : py::reinterpret_borrow<py::object>(value);
}

bool refers_to(void* reference, std::uint64_t owner) {
#if PY_VERSION_HEX >= 0x030d0000
  PyObject* object = nullptr;
  if (PyWeakref_GetRef(static_cast<PyObject*>(reference), &object) != 1) {
    return false;
  }
  Py_DECREF(object);  // the caller holds the value, which holds its owner
#else
  PyObject* object = PyWeakref_GetObject(static_cast<PyObject*>(reference));
#endif
  return address(object) == owner;
}

// Weak references to the objects that the caller has frozen, by address. Guarded by the GIL.
using Frozen = std::unordered_map<std::uint64_t, PyObject*>;

Frozen& frozen() {
  static Frozen* const map = new Frozen;  // never destroyed: the interpreter may end before static objects do
  return *map;
}

bool is_frozen(std::uint64_t owner) {
  const auto found = frozen().find(owner);
  return found != frozen().end() && refers_to(found->second, owner);
}

void unfreeze(std::uint64_t owner) {
  if (const auto found = frozen().find(owner); found != frozen().end()) {
    PyObject* reference = found->second;
    frozen().erase(found);
    Py_DECREF(reference);
  }
}

// The callback of the weak references: the memory is being freed, and its entries go with it. No other object
// can have the address before this returns.
PyObject* owner_ended(PyObject* number, PyObject*) {
  const std::uint64_t owner = PyLong_AsUnsignedLongLong(number);
  unfreeze(owner);
  try {
    Dropped dropped;
    cache().end(owner, dropped);
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();  // the entries stay, and their dead references keep them from hitting
  }
  Py_RETURN_NONE;
}

PyMethodDef kOwnerEnded{"owner_ended", owner_ended, METH_O, nullptr};

// A new weak reference. Throws Unsupported for an object that has none.
PyObject* refer_to(py::handle owner) {
  const py::int_ number(address(owner.ptr()));
  const py::object callback = checked(PyCFunction_New(&kOwnerEnded, number.ptr()));
  PyObject* reference = PyWeakref_NewRef(owner.ptr(), callback.ptr());
  if (reference == nullptr) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
      throw py::error_already_set();
    }
    PyErr_Clear();
    throw Unsupported{
        "a " + type_name(owner) + ", which cannot be weakly referenced, so that its end would go unseen",
        "freeze a memoryview of it, and hash that"};
  }
  return reference;
}

void release_one(const Watch& watch) noexcept {
  Py_XDECREF(static_cast<PyObject*>(watch.owner));
  Py_XDECREF(static_cast<PyObject*>(watch.sentinel));
}

}  // namespace

bool identify(py::handle value, const TensorView& view, const Algorithm& algorithm, Subject& subject) {
  if (view.temporary || (is_torch_tensor(value) && !is_plain_torch_tensor(value))) {
    return false;  // a subclass may have overridden what the proof rests on
  }
  if (is_torch_tensor(value)) {
    subject.owner = ask(value, torch().untyped_storage);
    subject.torch = true;
    subject.counted = read_version(value, subject.version);
    subject.lazy = view.transform.conjugate || view.transform.negate;
  } else if (is_numpy_array(value)) {
    subject.owner = owner_array(value, subject.writable);
  } else {
    subject.writable = true;  // a buffer says at most that it cannot be written through this export
    subject.owner = py::reinterpret_borrow<py::object>(value);
  }
  subject.key.owner = address(subject.owner.ptr());
  subject.key.data = address(view.data);
  subject.key.algorithm = &algorithm;
  subject.key.layout = layout_digest(view, !subject.torch && !is_numpy_array(value));
  return subject.key.data != 0;
}

bool is_current(const Watch& watch, const Subject& subject) {
  if (!refers_to(watch.owner, subject.key.owner)) {
    return false;
  }
  if (!subject.torch) {
    return !subject.writable || is_frozen(subject.key.owner);
  }
  if (watch.sentinel == nullptr) {
    return !subject.counted;  // frozen, and without a counter
  }
  std::uint64_t version = 0;
  return subject.counted && subject.version == watch.version &&
         read_version(static_cast<PyObject*>(watch.sentinel), version) && version == watch.version &&
         (watch.frozen || ask(subject.owner, torch().resizable).ptr() == Py_True);
}

bool is_cacheable(py::handle value, const TensorView& view, const Subject& subject) {
  if (!subject.torch) {
    return !subject.writable;
  }
  if (!subject.counted || ask(subject.owner, torch().resizable).ptr() != Py_True) {
    return false;
  }
  if (ask(value, torch().is_inference).ptr() == Py_True) {
    return false;  // one that was detached has a counter all the same, which inference mode does not use
  }
  if (view.on_device) {
    return view.cuda_device >= 0;  // what came from another process by CUDA IPC is not resizable
  }
  // Asked of a lazily conjugated or negated tensor, is_pinned() would copy it, and tell of the copy. The
  // storage takes 20 times as long to answer.
  const py::object pinned =
      subject.lazy ? ask(subject.owner, torch().storage_is_pinned) : ask(value, torch().is_pinned);
  return ask(subject.owner, torch().is_shared).ptr() == Py_False && pinned.ptr() == Py_False;
}

NewWatch::NewWatch(py::handle value, const TensorView& view, const Subject& subject) : subject_(subject) {
  try {
    watch_.frozen = is_frozen(subject.key.owner);
    if (!watch_.frozen && !is_cacheable(value, view, subject)) {
      return;
    }
    watch_.owner = refer_to(subject.owner);
    watch_.version = subject.version;
    if (subject.counted) {
      py::object sentinel = ask(value, torch().detach);
      PyObject* empty = empty_tensor();
      // A mode that redirects torch's functions may have made it something else, which counts nothing.
      if (empty == nullptr || !is_plain_torch_tensor(sentinel) ||
          ask(sentinel, torch().untyped_storage).ptr() != subject.owner.ptr()) {
        return;
      }
      if (PyObject_SetAttrString(sentinel.ptr(), "data", empty) != 0) {
        throw py::error_already_set();
      }
      if (ask(sentinel, torch().untyped_storage).ptr() == subject.owner.ptr()) {
        return;  // it would keep the memory alive
      }
      watch_.sentinel = sentinel.release().ptr();
    }
    // Torch's functions release the GIL: another thread may have given the tensor another storage since. And
    // torch before 2.1 makes a new object for a storage each time it is asked, which ends with `subject`.
    made_ = is_current(watch_, subject) &&
            (!subject.torch || ask(value, torch().untyped_storage).ptr() == subject.owner.ptr());
  } catch (py::error_already_set& error) {
    made_ = false;
    if (!is_refusal(error)) {
      release_one(watch_);  // a constructor that throws has no destructor
      throw;
    }
  } catch (const Unsupported&) {
    made_ = false;
  }
}

NewWatch::~NewWatch() {
  release_one(watch_);
}

void NewWatch::store(const Digest& digest, std::uint64_t forgets) {
  Dropped dropped;
  cache().insert(subject_.key, digest, watch_, forgets, dropped);
  watch_ = {};  // the cache's now
}

Dropped::~Dropped() {
  for (const Watch& watch : *this) {
    release_one(watch);
  }
}

py::object freeze(py::handle value) {
  TensorView view;
  if (!read_tensor(value, view) && !read_buffer(value, view)) {
    throw Unsupported{"a " + type_name(value), "freeze a tensor, an array or a buffer"};
  }
  const py::object owner = owner_of(value);
  const std::uint64_t number = address(owner.ptr());
  if (!is_frozen(number)) {
    unfreeze(number);
    frozen()[number] = refer_to(owner);
  }
  return owner;
}

void forget(py::handle value) {
  try {
    forget_owner(owner_of(value));
  } catch (py::error_already_set& error) {
    if (!is_refusal(error)) {
      throw;
    }
    // A sparse tensor or the like: it has no storage and no entries.
  }
}

void forget_owner(py::handle owner) {
  unfreeze(address(owner.ptr()));
  Dropped dropped;
  cache().forget(address(owner.ptr()), dropped);
}

}  // namespace mmhash
