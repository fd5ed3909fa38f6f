#include "watch.h"

#include <algorithm>
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
  // What a sentinel's data is: a CPU tensor of no elements, whatever the default device is just now.
  PyObject* empty =
      py::object(py::module_::import("torch").attr("empty")(0, py::arg("device") = "cpu")).release().ptr();
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
  // No initializer: another thread would wait for it with the GIL, which looking up gives up.
  static const Names* looked_up = nullptr;
  if (looked_up == nullptr) {
    looked_up = new Names;
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

// The array at the end of a NumPy array's chain of bases, which is kept alive by it: it owns the memory, or
// exports that of an object that is no array. `writable` tells if any array on the way can be written, or if
// that object is not `bytes`, which are immutable but have no weak references.
PyObject* owner_array(py::handle array, bool& writable) {
  writable = false;
  py::object current = py::reinterpret_borrow<py::object>(array);
  for (;;) {
    writable = writable || py::cast<bool>(current.attr("flags").attr("writeable"));
    py::object base = current.attr("base");
    if (!is_numpy_array(base)) {
      writable = writable || (!base.is_none() && !PyBytes_CheckExact(base.ptr()));
      return current.ptr();
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

py::object storage_of(py::handle tensor) {
  return ask(tensor, names().untyped_storage);
}

std::uint64_t address_of_storage(py::handle storage) {
  std::uint64_t number = 0;
  return read_number(storage.ptr(), names().cdata, number) ? number : 0;
}

// Whose memory a value's is: the storage's, the array's, or that of the object itself.
std::uint64_t owner_of(py::handle value) {
  if (is_torch_tensor(value)) {
    return address_of_storage(storage_of(value));
  }
  bool writable = false;
  return address(is_numpy_array(value) ? owner_array(value, writable) : value.ptr());
}

Watch weak_watch(py::handle value, py::handle storage, std::uint64_t owner) {
  Watch watch;
  if (storage) {
    watch.storage = py::cast<std::uint64_t>(ask(storage, names().weak_ref));
    return watch;
  }
  watch.object = PyWeakref_NewRef(reinterpret_cast<PyObject*>(owner), nullptr);
  if (watch.object == nullptr) {
    PyErr_Clear();
    throw Unsupported{
        "a " + type_name(value) + ", which cannot be weakly referenced, so that its end would go unseen",
        "freeze a memoryview of it, and hash that"};
  }
  return watch;
}

void release_one(const Watch& watch) noexcept {
  try {
    Py_XDECREF(static_cast<PyObject*>(watch.object));
    if (watch.storage != 0) {
      ask_weak(names().free_weak_ref, watch.storage);
    }
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("mmhash: releasing an entry of the cache");
  }
}

// A dead entry never hits, but its weak count keeps a small block at the end of the memory that torch has
// freed, and malloc then cannot use the two as one: beside 4,096 of them, 18.8 MB each, a process grew to
// 5 GB within 300 tensors. So after every kSweepBytes of tensors the dead are looked for; 4,096 entries take
// 0.5 ms, hashing kSweepBytes 4 ms and more.
constexpr std::size_t kSweepBytes = std::size_t{128} << 20;

void sweep_after(std::size_t bytes) {
  static std::size_t since = 0;
  since += bytes;
  if (since < kSweepBytes) {
    return;
  }
  since = 0;
  Cache::Dropped dropped;
  for (const auto& [key, watch] : cache().entries()) {
    if (!is_alive(watch, key.owner)) {
      cache().invalidate(key, dropped);
    }
  }
  release(dropped);
}

}  // namespace

bool identify(py::handle value, const TensorView& view, Subject& subject) {
  if (view.temporary || (is_torch_tensor(value) && !is_plain_torch_tensor(value))) {
    return false;  // a subclass may have overridden what the proof rests on
  }
  if (is_torch_tensor(value)) {
    subject.storage = storage_of(value);
    subject.key.owner = address_of_storage(subject.storage);
    subject.counted = read_number(value.ptr(), names().version, subject.version);
    subject.lazy = view.transform.conjugate || view.transform.negate;
  } else if (is_numpy_array(value)) {
    subject.key.owner = address(owner_array(value, subject.writable));
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
  // Asked of a lazily conjugated or negated tensor, is_pinned() would copy it, and tell of the copy. The
  // storage takes 20 times as long to answer.
  const py::handle owner = subject.lazy ? py::handle(storage) : value;
  return ask(storage, names().resizable).ptr() == Py_True &&
         ask(storage, names().is_shared).ptr() == Py_False && ask(owner, names().is_pinned).ptr() == Py_False;
}

NewWatch::NewWatch(py::handle value, const Subject& subject) : subject_(subject) {
  try {
    watch_ = weak_watch(value, subject.storage, subject.key.owner);
    watch_.version = subject.version;
    made_ = true;
    if (!subject.counted) {
      return;
    }
    py::object sentinel = ask(value, names().detach);
    PyObject* empty = empty_tensor();
    if (empty == nullptr || PyObject_SetAttr(sentinel.ptr(), names().data, empty) != 0) {
      throw py::error_already_set();
    }
    watch_.object = sentinel.release().ptr();
    // Under a mode that redirects torch's functions the sentinel is something else, and counts nothing. And
    // those functions release the GIL: another thread may have given the tensor another storage since.
    made_ = is_plain_torch_tensor(static_cast<PyObject*>(watch_.object)) && is_current(watch_, subject) &&
            address_of_storage(storage_of(value)) == subject.key.owner;
  } catch (py::error_already_set&) {
    made_ = false;
  } catch (const Unsupported&) {
    made_ = false;
  }
}

NewWatch::~NewWatch() {
  release_one(watch_);
}

void NewWatch::store(const Digest& digest, std::uint64_t forgets, std::size_t bytes) {
  Cache::Dropped dropped;
  cache().insert(subject_.key, digest, watch_, forgets, dropped);
  watch_ = {};  // the cache's now
  release(dropped);
  sweep_after(bytes);
}

void release(const Cache::Dropped& dropped) noexcept {
  for (const Watch& watch : dropped) {
    release_one(watch);
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
  // Those that have ended, whenever the map has doubled since the last look.
  static std::size_t next_sweep = 64;
  Cache::Dropped ended;
  if (frozen().size() >= next_sweep) {
    std::erase_if(frozen(), [&](const auto& entry) {
      const bool over = !is_alive(entry.second, entry.first);
      if (over) {
        ended.push_back(entry.second);
      }
      return over;
    });
    next_sweep = std::max<std::size_t>(64, 2 * frozen().size());
  }
  const py::object storage = is_torch_tensor(value) ? storage_of(value) : py::object();
  const Watch watch = weak_watch(value, storage, owner);
  if (const auto stale = frozen().find(owner); stale != frozen().end()) {
    ended.push_back(stale->second);  // of an object that was at this address before
  }
  frozen()[owner] = watch;
  release(ended);
}

void forget(py::handle value) {
  std::uint64_t owner = 0;
  try {
    owner = owner_of(value);
  } catch (py::error_already_set&) {
    return;  // such as a sparse tensor: it has no storage and no entries
  }
  Cache::Dropped dropped;
  if (const auto found = frozen().find(owner); found != frozen().end()) {
    dropped.push_back(found->second);
    frozen().erase(found);
  }
  cache().forget(owner, dropped);
  release(dropped);
}

}  // namespace mmhash
