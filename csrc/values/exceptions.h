// Python exceptions that are kept, and that say where in a value they arose. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace mmhash {

namespace py = pybind11;

// Another exception of the same type, arguments and attributes, without traceback, cause and context.
py::object copy_of_exception(py::handle exception);

// Throws an exception of the type of `error` whose message begins with `place`, and whose cause it is. One
// that is no Exception (KeyboardInterrupt), or cannot be copied, is thrown as it is.
[[noreturn]] void throw_located(const py::error_already_set& error, const std::string& place);

}  // namespace mmhash
