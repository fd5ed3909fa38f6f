// identity(), hash_feature() and identity_async(), which do without pybind11's dispatcher.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

namespace mmhash {

namespace py = pybind11;

void add_hot_functions(py::module_& m);

// Most significant byte first, from the first 8 bytes of a digest.
std::uint64_t big_endian_64(const std::uint8_t* bytes);

}  // namespace mmhash
