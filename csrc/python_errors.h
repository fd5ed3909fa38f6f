// C++ exceptions as Python's. Needs the GIL.
#pragma once

namespace mmhash {

// A Lippincott function: to be called in a catch (...), it sets the Python error of the exception that is
// being handled. What is no std::exception, such as a thread's cancellation, passes through.
void set_python_error();

// Whether the error that is set is a MemoryError. pybind11 says "Could not allocate bytes object!", and the
// like of other objects, by a std::runtime_error, with CPython's own error still set: that one is right.
bool memory_error_is_set();

}  // namespace mmhash
