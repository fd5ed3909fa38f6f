#include "cache/owners.h"

#include <algorithm>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

#include "intake/numpy_names.h"
#include "intake/torch_names.h"

namespace mmhash {
namespace {

// A property of NumPy's own, whatever a subclass has in its place.
py::object get(py::handle array, PyObject* property) {
  PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(array.ptr()));
  PyObject* found = Py_TYPE(property)->tp_descr_get(property, array.ptr(), type);
  if (found == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(found);
}

// What the caller has promised of an owner.
struct Promise {
  PyObject* owner = nullptr;  // weak reference
  Extent memory{};            // that it owns, as far as is known
  std::uint64_t count = 0;
};

// By address. Guarded by the GIL: between finding and changing nothing runs that could give it up or come
// back here, such as making an object or releasing one.
using Frozen = std::unordered_map<std::uint64_t, Promise>;

Frozen& frozen() {
  static Frozen* const map = new Frozen;  // never destroyed: the interpreter may end before static objects do
  return *map;
}

void unfreeze(std::uint64_t owner) {
  if (const auto found = frozen().find(owner); found != frozen().end()) {
    PyObject* reference = found->second.owner;
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

}  // namespace

py::object owner_array(py::handle array) {
  py::object current = py::reinterpret_borrow<py::object>(array);
  for (;;) {
    py::object base = get(current, numpy_names.base);
    if (!is_numpy_array(base)) {
      return current;
    }
    current = std::move(base);
  }
}

namespace {

// The object whose life is that of the memory: torch's storage, the array that owns, or the value itself.
py::object owner_of(py::handle value) {
  if (is_torch_tensor(value)) {
    return call_torch(torch_names.untyped_storage, value);
  }
  return is_numpy_array(value) ? owner_array(value) : py::reinterpret_borrow<py::object>(value);
}

Extent extent_of(const TensorView& view) {
  const auto [begin, end] = view.extent();
  return {begin, end};
}

// The memory of a whole storage, or what an array or a buffer shows of its own; nothing for other values.
Extent shown_memory(py::handle value, py::handle owner) {
  if (is_torch_tensor(value)) {
    const auto begin = py::cast<std::uint64_t>(owner.attr("data_ptr")());
    return {begin, begin + py::cast<std::uint64_t>(owner.attr("nbytes")())};
  }
  TensorView view;
  try {
    if (read_numpy(value, view) || read_buffer(value, view)) {
      return extent_of(view);
    }
  } catch (const Unsupported&) {
    return {};  // it cannot be hashed either
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception) || error.matches(PyExc_MemoryError)) {
      throw;
    }
  }
  return {};
}

}  // namespace

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

PyObject* refer_to(py::handle owner) {
  const py::int_ number(address(owner.ptr()));
  const auto callback = py::reinterpret_steal<py::object>(PyCFunction_New(&kOwnerEnded, number.ptr()));
  if (!callback) {
    throw py::error_already_set();
  }
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

bool is_frozen(std::uint64_t owner) {
  const auto found = frozen().find(owner);
  return found != frozen().end() && refers_to(found->second.owner, owner);
}

bool any_frozen() {
  return !frozen().empty();
}

void release(const Validator& validator) noexcept {
  Py_XDECREF(static_cast<PyObject*>(validator.owner));
  Py_XDECREF(static_cast<PyObject*>(validator.sentinel));
}

Dropped::~Dropped() {
  for (const Validator& validator : *this) {
    release(validator);
  }
}

py::object freeze(py::handle value) {
  TensorView view;
  if (!read_tensor(value, view) && !read_buffer(value, view)) {
    throw Unsupported{"a " + type_name(value), "freeze a tensor, an array or a buffer"};
  }
  py::object owner = owner_of(value);
  const std::uint64_t number = address(owner.ptr());
  Extent memory = extent_of(view);
  if (const Extent whole = shown_memory(is_numpy_array(owner) ? owner : value, owner); whole.meets(memory)) {
    memory = {std::min(memory.begin, whole.begin), std::max(memory.end, whole.end)};
  }
  auto reference = py::reinterpret_steal<py::object>(refer_to(owner));  // first, since it may run other code
  py::object stale;                                                     // released last, for the same reason
  Promise& promise = frozen()[number];
  if (promise.owner == nullptr || !refers_to(promise.owner, number)) {
    stale = py::reinterpret_steal<py::object>(promise.owner);
    promise = {reference.release().ptr(), memory, 0};
  }
  promise.memory = {std::min(promise.memory.begin, memory.begin), std::max(promise.memory.end, memory.end)};
  ++promise.count;
  return owner;
}

void thaw(py::handle owner) {
  const std::uint64_t number = address(owner.ptr());
  if (const auto found = frozen().find(number); found != frozen().end() && found->second.count > 1) {
    --found->second.count;
    return;
  }
  unfreeze(number);
  Dropped dropped;
  cache().forget(number, {}, dropped);
}

void forget(py::handle value) {
  py::object owner;
  Extent memory;
  try {
    owner = owner_of(value);
    memory = shown_memory(value, owner);
  } catch (py::error_already_set& error) {
    // Torch says RuntimeError (NotImplementedError is one) of a sparse tensor or the like: it has no storage
    // and no entries. Whatever else is raised must not pass for a success.
    if (!error.matches(PyExc_RuntimeError)) {
      throw;
    }
    return;
  }
  const std::uint64_t number = address(owner.ptr());
  std::vector<std::uint64_t> ended{number};
  for (const auto& [other, promise] : frozen()) {
    if (promise.memory.meets(memory)) {
      ended.push_back(other);
    }
  }
  for (const std::uint64_t other : ended) {
    unfreeze(other);
  }
  Dropped dropped;
  cache().forget(number, memory, dropped);
}

}  // namespace mmhash
