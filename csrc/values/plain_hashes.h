// Plain XXH3 of the bytes of a buffer or a contiguous CPU tensor: no frame, so nothing but bytes enters.
// Needs the GIL, and releases it while a large payload is hashed.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include "algorithms/xxh3/dispatch.h"

namespace mmhash {

namespace py = pybind11;

// Raise TypeError for anything else, and ValueError for memory that is not contiguous.
std::uint64_t plain_xxh3_64(py::handle data, std::uint64_t seed);
Xxh3Digest plain_xxh3_128(py::handle data, std::uint64_t seed);

}  // namespace mmhash
