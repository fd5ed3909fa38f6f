#include "values/numbers.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>

#include "identity/frame.h"

namespace mmhash {
namespace {

Digest hash_bool(const Algorithm& algorithm, bool value) {
  SmallFrame frame('B');
  frame.byte(value ? 1 : 0);
  return frame.digest(algorithm);
}

Digest hash_int(const Algorithm& algorithm, py::handle value) {
  int overflow = 0;
  const long long small = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (overflow == 0) {
    if (small == -1 && PyErr_Occurred() != nullptr) {
      throw py::error_already_set();
    }
    const auto bits = static_cast<unsigned long long>(small);
    const unsigned long long magnitude = small < 0 ? 0 - bits : bits;
    const int bit_length = magnitude == 0 ? 0 : 64 - __builtin_clzll(magnitude);
    SmallFrame frame('I');
    frame.raw(&small, std::min(sizeof small, static_cast<std::size_t>(bit_length) / 8 + 1));
    if (bit_length == 64) {
      frame.byte(small < 0 ? 0xff : 0x00);  // the sign stands in a ninth byte
    }
    return frame.digest(algorithm);
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

void append_number(SmallFrame& frame, double number) {
  if (std::isnan(number)) {
    frame.u64(0x7ff8000000000000u);  // one NaN for all
  } else {
    frame.raw(&number, sizeof number);
  }
}

Digest hash_float(const Algorithm& algorithm, double number) {
  SmallFrame frame('F');
  append_number(frame, number);
  return frame.digest(algorithm);
}

Digest hash_complex(const Algorithm& algorithm, Py_complex number) {
  SmallFrame frame('C');
  append_number(frame, number.real);
  append_number(frame, number.imag);
  return frame.digest(algorithm);
}

}  // namespace

bool hash_number(py::handle value, Digest& digest, const Algorithm& algorithm) {
  PyObject* object = value.ptr();
  if (object == Py_None) {
    digest = SmallFrame('N').digest(algorithm);
  } else if (PyBool_Check(object)) {
    digest = hash_bool(algorithm, object == Py_True);
  } else if (PyLong_Check(object)) {
    digest = hash_int(algorithm, value);
  } else if (PyFloat_Check(object)) {
    digest = hash_float(algorithm, PyFloat_AS_DOUBLE(object));
  } else if (PyComplex_Check(object)) {
    digest = hash_complex(algorithm, PyComplex_AsCComplex(object));
  } else {
    return false;
  }
  return true;
}

}  // namespace mmhash
