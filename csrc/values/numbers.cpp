#include "values/numbers.h"

#include <span>
#include <string_view>

#include "identity/number_frames.h"

namespace mmhash {
namespace {

Digest hash_int(const Algorithm& algorithm, py::handle value) {
  int overflow = 0;
  const long long small = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (overflow == 0) {
    if (small == -1 && PyErr_Occurred() != nullptr) {
      throw py::error_already_set();
    }
    return int_frame(small).digest(algorithm);
  }
  // Through the type, since a subclass may override its methods.
  const py::handle type(reinterpret_cast<PyObject*>(&PyLong_Type));
  const std::size_t size = py::cast<std::size_t>(type.attr("bit_length")(value)) / 8 + 1;
  // By CPython's own call: pybind11's, with a keyword, leaks where memory is short.
  const auto method = py::reinterpret_steal<py::object>(PyObject_GetAttrString(type.ptr(), "to_bytes"));
  const auto keywords = py::reinterpret_steal<py::object>(Py_BuildValue("{s:O}", "signed", Py_True));
  const auto positional = py::reinterpret_steal<py::object>(
      Py_BuildValue("(Ons)", value.ptr(), static_cast<Py_ssize_t>(size), "little"));
  if (!method || !keywords || !positional) {
    throw py::error_already_set();
  }
  const auto bytes =
      py::reinterpret_steal<py::bytes>(PyObject_Call(method.ptr(), positional.ptr(), keywords.ptr()));
  if (!bytes) {
    throw py::error_already_set();
  }
  return hash_frame(algorithm, 'I', {}, std::as_bytes(std::span(std::string_view(bytes))));
}

}  // namespace

bool hash_number(py::handle value, Digest& digest, const Algorithm& algorithm) {
  PyObject* object = value.ptr();
  if (object == Py_None) {
    digest = none_frame().digest(algorithm);
  } else if (PyBool_Check(object)) {
    digest = bool_frame(object == Py_True).digest(algorithm);
  } else if (PyLong_Check(object)) {
    digest = hash_int(algorithm, value);
  } else if (PyFloat_Check(object)) {
    digest = float_frame(PyFloat_AS_DOUBLE(object)).digest(algorithm);
  } else if (PyComplex_Check(object)) {
    const Py_complex number = PyComplex_AsCComplex(object);
    digest = complex_frame(number.real, number.imag).digest(algorithm);
  } else {
    return false;
  }
  return true;
}

}  // namespace mmhash
