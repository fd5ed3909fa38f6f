#include "values/exceptions.h"

namespace mmhash {
namespace {

bool is_instance(py::handle value, PyObject* type) {
  return PyObject_IsInstance(value.ptr(), type) == 1;
}

// Where the message stands differs from type to type. PEP 678's notes, which tracebacks show from Python 3.11
// on, are for those that have none of one piece.
void name_place(const py::object& exception, const std::string& place) {
  const auto prefix = [&](py::handle text) { return py::str(place + ": " + std::string(py::str(text))); };
  if (is_instance(exception, PyExc_OSError) && py::isinstance<py::str>(exception.attr("strerror"))) {
    exception.attr("strerror") = prefix(exception.attr("strerror"));
    return;
  }
  const py::tuple args = exception.attr("args");
  if (args.size() == 1 && py::isinstance<py::str>(args[0]) && !is_instance(exception, PyExc_KeyError)) {
    exception.attr("args") = py::make_tuple(prefix(args[0]));
    if (is_instance(exception, PyExc_SyntaxError)) {
      exception.attr("msg") = prefix(exception.attr("msg"));
    }
    return;
  }
  py::list notes;
  if (py::hasattr(exception, "__notes__")) {
    notes = py::list(exception.attr("__notes__"));
  }
  notes.append("where: " + place);
  exception.attr("__notes__") = notes;
}

}  // namespace

py::object copy_of_exception(py::handle exception) {
  try {
    py::object copy = py::module_::import("copy").attr("copy")(exception);
    if (py::type::of(copy).is(py::type::of(exception))) {
      return copy;
    }
  } catch (py::error_already_set& error) {
    // Its constructor may take other arguments than those that stand in `args`.
    if (!error.matches(PyExc_Exception)) {
      throw;
    }
  }
  const py::object type = py::type::of(exception);
  py::object copy = type.attr("__new__")(type, *exception.attr("args"));
  copy.attr("args") = exception.attr("args");
  copy.attr("__dict__").attr("update")(exception.attr("__dict__"));
  return copy;
}

void throw_located(const py::error_already_set& error, const std::string& place) {
  if (!error.matches(PyExc_Exception)) {
    throw error;
  }
  try {
    const py::object located = copy_of_exception(error.value());
    name_place(located, place);
    PyException_SetCause(located.ptr(), py::object(error.value()).release().ptr());
    PyErr_SetObject(py::type::of(located).ptr(), located.ptr());
  } catch (py::error_already_set& another) {
    throw another.matches(PyExc_Exception) ? error : another;
  }
  throw py::error_already_set();
}

}  // namespace mmhash
