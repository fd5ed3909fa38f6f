// The identities of values that are a payload: tensors, arrays and buffers. Needs the GIL, and releases it
// while a large payload is hashed.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>

#include "identity/digest.h"
#include "identity/layout.h"
#include "values/options.h"

namespace mmhash {

namespace py = pybind11;

// From this many bytes of payload on, the GIL is released. Measured: see the note in gil.h.
inline constexpr std::size_t kGilReleaseBytes = std::size_t{256} << 10;

// Each is false if the value is not of its kind. Throws Unsupported, or error_already_set for what the
// value's own methods raise.
bool hash_tensor(py::handle value, Digest& digest, const Options& options);
bool hash_buffer(py::handle value, Digest& digest, const Options& options);

// The digest of a frame of that kind that holds a length and bytes, in memory that stays as it is.
Digest hash_bytes(const Algorithm& algorithm, char kind, const Payload& payload);

}  // namespace mmhash
