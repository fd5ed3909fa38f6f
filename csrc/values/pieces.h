// The identities of values whose payload comes in pieces, such as those of a file that is mapped part by part
// or of a tensor that is copied from a device. Needs the GIL, and releases it while a piece is hashed.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <string>

#include "identity/algorithm.h"

namespace mmhash {

namespace py = pybind11;

// Of a tensor: `shape` a tuple of int, `pieces` an iterable of contiguous CPU tensors or buffers. ValueError
// if the pieces do not add up to the shape or the dtype is unknown.
Digest identity_from_pieces(const Algorithm& algorithm, const std::string& dtype, const py::tuple& shape,
                            py::handle pieces);

// Of `size` bytes, likewise.
Digest bytes_identity_from_pieces(const Algorithm& algorithm, std::size_t size, py::handle pieces);

}  // namespace mmhash
