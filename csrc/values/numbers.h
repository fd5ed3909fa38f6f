// The identities of None, bool, int, float and complex. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include "identity/algorithm.h"

namespace mmhash {

namespace py = pybind11;

// The digest of None or a number. False if the value is neither. A subclass counts as its base.
bool hash_number(py::handle value, Digest& digest, const Algorithm& algorithm);

}  // namespace mmhash
