// The identity of a str: its UTF-8, whatever CPython keeps it as. Needs the GIL, and releases it for long
// texts.
#pragma once

#include <pybind11/pybind11.h>

#include "identity/algorithm.h"

namespace mmhash {

namespace py = pybind11;

// `value` is a str or of a subclass.
Digest hash_str(const Algorithm& algorithm, py::handle value);

}  // namespace mmhash
