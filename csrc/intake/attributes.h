// Looking up what may not be there. Needs the GIL.
//
// CPython's and pybind11's own ways (PyDict_GetItemString, PyObject_HasAttrString, py::hasattr, py::getattr
// with a default) take each error for "there is none", a lack of memory too. An array would then be hashed as
// the buffer that it is as well, or a damaged image as one that is whole.
#pragma once

#include <pybind11/pybind11.h>

namespace mmhash {

namespace py = pybind11;

// The error that is set is cleared, or thrown if it is a MemoryError.
inline void clear_unless_memory_error() {
  if (PyErr_ExceptionMatches(PyExc_MemoryError) != 0) {
    throw py::error_already_set();
  }
  PyErr_Clear();
}

// Null if there is none.
inline py::object find_attribute(py::handle object, const char* name) {
  PyObject* const found = PyObject_GetAttrString(object.ptr(), name);
  if (found == nullptr) {
    clear_unless_memory_error();
  }
  return py::reinterpret_steal<py::object>(found);
}

inline py::object find_attribute(py::handle object, const char* name, py::object otherwise) {
  py::object found = find_attribute(object, name);
  return found ? found : otherwise;
}

// Of a dict. Null if there is none.
inline py::object find_item(py::handle dict, const char* name) {
  const auto key = py::reinterpret_steal<py::object>(PyUnicode_FromString(name));
  PyObject* const found = key ? PyDict_GetItemWithError(dict.ptr(), key.ptr()) : nullptr;  // borrowed
  if (found == nullptr && PyErr_Occurred() != nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_borrow<py::object>(found);
}

}  // namespace mmhash
