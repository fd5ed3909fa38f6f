#include "watch.h"

#include <cstring>
#include <unordered_map>
#include <utility>

// kCacheMinBytes: on Zen 3 a hit costs 0.5 us, hashing 16 KiB as much, and making an entry (sentinel, weak
// count, nodes) 4 us, as much as hashing 128 KiB. So from there on one hit pays for the miss before it.

namespace mmhash {
namespace {

std::uint64_t address(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

// What is asked of torch, looked up once and kept for ever. Only used once a torch tensor was seen.
struct Names {
  PyObject* storage_type = py::object(py::module_::import("torch").attr("UntypedStorage")).release().ptr();
  // What a sentinel's data is: a CPU tensor of no elements.
  PyObject* empty = py::object(py::module_::import("torch").attr("empty")(0)).release().ptr();
  PyObject* cdata = PyUnicode_InternFromString("_cdata");
  PyObject* data = PyUnicode_InternFromString("data");
  PyObject* detach = PyUnicode_InternFromString("detach");
  PyObject* expired = PyUnicode_InternFromString("_expired");
  PyObject* free_weak_ref = PyUnicode_InternFromString("_free_weak_ref");
  PyObject* is_cpu = PyUnicode_InternFromString("is_cpu");
  PyObject* is_pinned = PyUnicode_InternFromString("is_pinned");
  PyObject* is_shared = PyUnicode_InternFromString("is_shared");
  PyObject* resizable = PyUnicode_InternFromString("resizable");
  PyObject* untyped_storage = PyUnicode_InternFromString("untyped_storage");
  PyObject* version = PyUnicode_InternFromString("_version");
  PyObject* weak_ref = PyUnicode_InternFromString("_weak_ref");
};

const Names& names() {
  static const Names* const looked_up = new Names;
  return *looked_up;
}

py::object checked(PyObject* result) {
  if (result == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(result);
}

py::object ask(py::handle object, PyObject* method) {
  return checked(PyObject_CallMethodNoArgs(object.ptr(), method));
}

// A static method of torch.UntypedStorage that takes the address of a weak count.
py::object ask_weak(PyObject* method, std::uint64_t storage) {
  const py::int_ number(storage);
  return checked(PyObject_CallMethodOneArg(names().storage_type, method, number.ptr()));
}

// The number in an attribute; false, with no exception set, if reading it raised.
bool read_number(PyObject* object, PyObject* name, std::uint64_t& number) {
  PyObject* found = PyObject_GetAttr(object, name);
  if (found == nullptr) {
    PyErr_Clear();
    return false;
  }
  number = PyLong_AsUnsignedLongLong(found);
  Py_DECREF(found);
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    return false;
  }
  return true;
}

Digest layout_digest(const TensorView& view) {
  // Exact and unambiguous; hashed only so that a key has one size.
  std::uint8_t bytes[8 + 2 * 8 * kMaxDims];
  const Transform& transform = view.transform;
  const std::size_t ndim = view.shape().size();
  bytes[0] = static_cast<std::uint8_t>(view.dtype - kDtypes.data());
  bytes[1] = static_cast<std::uint8_t>(transform.swap_bytes + 2 * transform.conjugate + 4 * transform.negate);
  bytes[2] = static_cast<std::uint8_t>(ndim);
  std::size_t size = 3;
  for (const auto part : {view.shape(), view.strides()}) {
    std::memcpy(bytes + size, part.data(), part.size_bytes());
    size += part.size_bytes();
  }
  return xxh3_128(bytes, size);
}

// The array that owns a NumPy array's memory, or null if an object other than an array does. `writable` tells
// if any array on the way, or the owner, can be written.
PyObject* owner_array(py::handle array, bool& writable) {
  writable = false;
  py::object current = py::reinterpret_borrow<py::object>(array);
  for (;;) {
    writable = writable || py::cast<bool>(current.attr("flags").attr("writeable"));
    py::object base = current.attr("base");
    if (base.is_none()) {
      return current.ptr();  // kept alive by the chain of bases below it
    }
    if (PyBytes_CheckExact(base.ptr())) {
      return current.ptr();  // immutable; but bytes have no weak references, so this array stands for it
    }
    if (!is_numpy_array(base)) {
      return nullptr;
    }
    current = std::move(base);
  }
}

// Objects and storages that the caller has frozen, by address. Guarded by the GIL.
using Frozen = std::unordered_map<std::uint64_t, Watch>;

Frozen& frozen() {
  static Frozen* const map = new Frozen;  // never destroyed: the interpreter may end before static objects do
  return *map;
}

bool refers_to(const Watch& watch, std::uint64_t owner) {
  auto* reference = static_cast<PyObject*>(watch.object);
#if PY_VERSION_HEX >= 0x030d0000
  PyObject* object = nullptr;
  if (PyWeakref_GetRef(reference, &object) != 1) {
    return false;
  }
  Py_DECREF(object);  // the caller holds the value, which holds its owner
#else
  PyObject* object = PyWeakref_GetObject(reference);
#endif
  return address(object) == owner;
}

// False once the owner has ended. The weak count on a storage, the weak reference to an object, tell.
bool is_alive(const Watch& watch, std::uint64_t owner) {
  if (watch.storage != 0) {
    return ask_weak(names().expired, watch.storage).ptr() != Py_True;
  }
  return refers_to(watch, owner);
}

bool is_frozen(std::uint64_t owner) {
  const auto found = frozen().find(owner);
  return found != frozen().end() && is_alive(found->second, owner);
}

std::uint64_t storage_address(py::handle tensor) {
  std::uint64_t number = 0;
  return read_number(ask(tensor, names().untyped_storage).ptr(), names().cdata, number) ? number : 0;
}

// Whose memory a value's is: the storage's, the array's, or that of the object itself.
std::uint64_t owner_of(py::handle value) {
  if (is_torch_tensor(value)) {
    return storage_address(value);
  }
  if (is_numpy_array(value)) {
    bool writable = false;
    PyObject* owner = owner_array(value, writable);
    return address(owner != nullptr ? owner : value.ptr());
  }
  return address(value.ptr());
}

Watch weak_watch(py::handle value, std::uint64_t owner) {
  Watch watch;
  if (is_torch_tensor(value)) {
    const py::object storage = ask(value, names().untyped_storage);
    watch.storage = py::cast<std::uint64_t>(ask(storage, names().weak_ref));
  } else {
    watch.object = PyWeakref_NewRef(reinterpret_cast<PyObject*>(owner), nullptr);
    if (watch.object == nullptr) {
      PyErr_Clear();
      throw Unsupported{
          "a " + type_name(value) + ", which cannot be weakly referenced, so that its end would go unseen",
          "freeze a memoryview of it, and hash that"};
    }
  }
  return watch;
}

}  // namespace

bool identify(py::handle value, const TensorView& view, Subject& subject) {
  if (view.temporary || (is_torch_tensor(value) && !is_plain_torch_tensor(value))) {
    return false;  // a subclass may have overridden what the proof rests on
  }
  if (is_torch_tensor(value)) {
    subject.key.owner = storage_address(value);
    subject.counted = read_number(value.ptr(), names().version, subject.version);
  } else if (is_numpy_array(value)) {
    PyObject* owner = owner_array(value, subject.writable);
    subject.writable = subject.writable || owner == nullptr;
    subject.key.owner = address(owner != nullptr ? owner : value.ptr());
  } else {
    subject.writable = true;  // a buffer says at most that it cannot be written through this export
    subject.key.owner = address(value.ptr());
  }
  subject.key.data = address(view.data);
  subject.key.layout = layout_digest(view);
  return subject.key.owner != 0 && subject.key.data != 0;
}

bool is_current(const Watch& watch, const Subject& subject) {
  if (watch.storage == 0) {
    return refers_to(watch, subject.key.owner) && (!subject.writable || is_frozen(subject.key.owner));
  }
  if (watch.object == nullptr) {
    return !subject.counted;  // frozen, and without a counter
  }
  std::uint64_t version = 0;
  return subject.counted && subject.version == watch.version &&
         read_number(static_cast<PyObject*>(watch.object), names().version, version) &&
         version == watch.version;
}

bool is_cacheable(py::handle value, const Subject& subject) {
  if (is_frozen(subject.key.owner)) {
    return true;
  }
  if (!is_torch_tensor(value)) {
    return !subject.writable;
  }
  if (!subject.counted || checked(PyObject_GetAttr(value.ptr(), names().is_cpu)).ptr() != Py_True) {
    return false;
  }
  const py::object storage = ask(value, names().untyped_storage);
  return ask(storage, names().resizable).ptr() == Py_True &&
         ask(storage, names().is_shared).ptr() == Py_False && ask(value, names().is_pinned).ptr() == Py_False;
}

bool make_watch(py::handle value, const Subject& subject, Watch& watch) {
  try {
    watch = weak_watch(value, subject.key.owner);
    watch.version = subject.version;
    if (subject.counted) {
      py::object sentinel = ask(value, names().detach);
      if (PyObject_SetAttr(sentinel.ptr(), names().data, names().empty) != 0) {
        throw py::error_already_set();
      }
      watch.object = sentinel.release().ptr();
      // Under a mode that redirects torch's functions the sentinel is something else, and counts nothing.
      if (!is_plain_torch_tensor(static_cast<PyObject*>(watch.object)) || !is_current(watch, subject)) {
        release(watch);
        return false;
      }
    }
    return true;
  } catch (py::error_already_set&) {
  } catch (const Unsupported&) {
  }
  release(watch);
  return false;
}

void release(const Watch& watch) {
  Py_XDECREF(static_cast<PyObject*>(watch.object));
  if (watch.storage != 0) {
    ask_weak(names().free_weak_ref, watch.storage);
  }
}

void release(const Cache::Dropped& dropped) {
  for (const Watch& watch : dropped) {
    release(watch);
  }
}

void freeze(py::handle value) {
  TensorView view;
  if (!read_tensor(value, view) && !read_buffer(value, view)) {
    throw Unsupported{"a " + type_name(value), "freeze a tensor, an array or a buffer"};
  }
  const std::uint64_t owner = owner_of(value);
  if (is_frozen(owner)) {
    return;
  }
  // Those that have ended since the last time, so that the map does not outgrow what lives.
  Cache::Dropped ended;
  std::erase_if(frozen(), [&](const auto& entry) {
    const bool over = !is_alive(entry.second, entry.first);
    if (over) {
      ended.push_back(entry.second);
    }
    return over;
  });
  const Watch watch = weak_watch(value, owner);
  frozen().insert_or_assign(owner, watch);
  release(ended);
}

void forget(py::handle value) {
  const std::uint64_t owner = owner_of(value);
  Cache::Dropped dropped;
  if (const auto found = frozen().find(owner); found != frozen().end()) {
    dropped.push_back(found->second);
    frozen().erase(found);
  }
  cache().forget(owner, dropped);
  release(dropped);
}

}  // namespace mmhash
