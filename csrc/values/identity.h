// From a Python value of any kind in docs/SPEC.md to its identity. The room values knows what kinds of value
// there are and what stands in the frame of each; how memory is read, found again or folded belongs to the
// rooms below. Needs the GIL, and releases it while large payloads are hashed.
#pragma once

#include <pybind11/pybind11.h>

#include "identity/digest.h"
#include "values/options.h"

namespace mmhash {

namespace py = pybind11;

// Raises (as C++ exceptions that pybind11 translates) TypeError for a value that has no identity, with the
// place where it stands in a nested value; ValueError for a value that contains itself or is nested deeper
// than kMaxDepth; and whatever the value's own methods raise.
Digest identity(py::handle value, const Options& options);

}  // namespace mmhash
