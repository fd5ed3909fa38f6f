#include "python_errors.h"

#include <pybind11/pybind11.h>

#include <exception>
#include <new>
#include <stdexcept>

namespace mmhash {

namespace py = pybind11;

bool memory_error_is_set() {
  return PyErr_Occurred() != nullptr && PyErr_ExceptionMatches(PyExc_MemoryError) != 0;
}

void set_python_error() {
  try {
    throw;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::length_error& error) {  // a container of more than memory can hold
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    if (!memory_error_is_set()) {
      PyErr_SetString(PyExc_RuntimeError, error.what());
    }
  }
}

}  // namespace mmhash
