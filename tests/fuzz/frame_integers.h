// Integers of any length, as bytes from the lowest on.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "frame_decoder.h"

namespace spec {

// bit_length() of Python.
inline std::size_t bit_length(const Bytes& magnitude) {
  return magnitude.empty()
             ? 0
             : 8 * magnitude.size() - static_cast<std::size_t>(std::countl_zero(magnitude.back()));
}

// Of a two's complement, little-endian.
inline void negate(Bytes& bytes) {
  unsigned carry = 1;
  for (std::uint8_t& byte : bytes) {
    carry += static_cast<std::uint8_t>(~byte);
    byte = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
}

}  // namespace spec
