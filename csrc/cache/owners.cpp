#include "cache/owners.h"

#include <new>
#include <unordered_map>
#include <utility>

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

// Weak references to the objects that the caller has frozen, by address. Guarded by the GIL.
using Frozen = std::unordered_map<std::uint64_t, PyObject*>;

Frozen& frozen() {
  static Frozen* const map = new Frozen;  // never destroyed: the interpreter may end before static objects do
  return *map;
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

}  // namespace

py::object owner_array(py::handle array, bool& writable) {
  writable = false;
  py::object current = py::reinterpret_borrow<py::object>(array);
  for (;;) {
    const py::object flags = get(current, numpy_names.flags);
    writable = writable || py::cast<bool>(flags.attr("writeable"));
    py::object base = get(current, numpy_names.base);
    if (!is_numpy_array(base)) {
      const bool own = base.is_none() && py::cast<bool>(flags.attr("owndata"));
      writable = writable || !(own || PyBytes_CheckExact(base.ptr()));
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
  bool writable = false;
  return is_numpy_array(value) ? owner_array(value, writable) : py::reinterpret_borrow<py::object>(value);
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
  return found != frozen().end() && refers_to(found->second, owner);
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
