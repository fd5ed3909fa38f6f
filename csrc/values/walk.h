// From a Python value of any kind in docs/SPEC.md to its identity: which frame it gets, and the walk
// through lists and mappings. Needs the GIL, and releases it while large payloads are hashed.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>

#include "identity/digest.h"
#include "values/options.h"

namespace mmhash {

namespace py = pybind11;

// Lists and mappings within each other, at most.
inline constexpr std::size_t kMaxDepth = 1000;

// A dict or any other collections.abc.Mapping.
bool is_mapping(py::handle value);

// Raises (as C++ exceptions that pybind11 translates) TypeError for a value that has no identity, with the
// place where it stands in a nested value; ValueError for a value that contains itself or is nested deeper
// than kMaxDepth; and whatever the value's own methods raise.
Digest identity(py::handle value, const Options& options);

}  // namespace mmhash
