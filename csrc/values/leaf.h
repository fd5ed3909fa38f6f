// The identities of values that have no parts: numbers, strings, tensors and buffers. Needs the GIL, and
// releases it while a large payload is hashed.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <string>

#include "identity/digest.h"
#include "values/options.h"

namespace mmhash {

namespace py = pybind11;

// From this many bytes of payload on, the GIL is released. Measured: see the note in gil.h.
inline constexpr std::size_t kGilReleaseBytes = std::size_t{256} << 10;

// None, tensors, bool, int, float, complex and str, tried in this order. False if the value is none of them.
// Throws Unsupported, or error_already_set for what the value's own methods raise.
bool hash_leaf(py::handle value, Digest& digest, const Options& options);

// The last kind of docs/SPEC.md: any other object with the buffer protocol.
bool hash_buffer(py::handle value, Digest& digest, const Options& options);

// The identity of a tensor whose payload comes in pieces: `shape` a tuple of int, `pieces` an iterable of
// contiguous CPU tensors or buffers. ValueError if the pieces do not add up to the shape or the dtype is
// unknown.
Digest identity_from_pieces(const Algorithm& algorithm, const std::string& dtype, const py::tuple& shape,
                            const py::iterable& pieces);

}  // namespace mmhash
