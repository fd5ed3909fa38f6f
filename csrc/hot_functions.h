// identity() and hash_feature(), which pybind11's dispatcher would make noticeably slower.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

namespace mmhash {

namespace py = pybind11;

void add_hot_functions(py::module_& m);

// Most significant byte first, from the first 8 bytes of a digest.
std::uint64_t big_endian_64(const std::uint8_t* bytes);

}  // namespace mmhash
