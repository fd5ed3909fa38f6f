// Handing a value over and hashing it in the same pass: its payload goes to a file or into memory piece by
// piece, each hashed while it is in the cache. Needs the GIL, and releases it while a piece is read, hashed
// and written.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include "identity/algorithm.h"

namespace mmhash {

namespace py = pybind11;

// Both throw TypeError for a value that is no tensor, array or buffer on the host.

// By pwrite(2) at that offset. Throws OSError, and ValueError for an offset that cannot be.
Digest write_value(const Algorithm& algorithm, int descriptor, std::int64_t offset, py::handle value);

// Into a writable contiguous buffer or host tensor of as many bytes, which is forgotten by the cache. Throws
// ValueError for one of another size, and if the two overlap.
Digest copy_value(const Algorithm& algorithm, py::handle destination, py::handle source);

}  // namespace mmhash
