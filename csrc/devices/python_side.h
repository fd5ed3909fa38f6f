// What the native module asks mmhash's own Python (mmhash/_device.py), and the only place where it does: the
// memory of a device is its framework's business, and torch is spoken to in Python. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "identity/algorithm.h"

namespace mmhash::python_side {

namespace py = pybind11;

// The identity of a tensor whose payload is copied to the host in pieces.
Digest copied_identity(const py::object& tensor, const Algorithm& algorithm);

// Says once in the log, for each reason, that tensors are copied.
void warn_of_copies(const std::string& reason);

// Where NVRTC may be, best first.
std::vector<std::string> nvrtc_libraries();

// Has the framework's allocator keep a storage's memory until the stream has done what it has now. False for
// memory that is not the allocator's, and if anything goes wrong.
bool keep_until_done(const py::object& storage, std::uintptr_t stream);

}  // namespace mmhash::python_side
