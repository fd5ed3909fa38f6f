// The frames of numbers (docs/SPEC.md): the kinds N, B, I, F and C. No Python here.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "identity/frame.h"

namespace mmhash {

// Of a number.
using SmallFrame = FrameOf<32>;

inline SmallFrame none_frame() {
  return SmallFrame('N');
}

inline SmallFrame bool_frame(bool value) {
  SmallFrame frame('B');
  frame.byte(value ? 1 : 0);
  return frame;
}

// Of an int that fits. A longer one's bytes, which Python makes, go through hash_frame().
inline SmallFrame int_frame(long long value) {
  const auto bits = static_cast<unsigned long long>(value);
  const unsigned long long magnitude = value < 0 ? 0 - bits : bits;
  const int bit_length = magnitude == 0 ? 0 : 64 - __builtin_clzll(magnitude);
  SmallFrame frame('I');
  frame.raw(&value, std::min(sizeof value, static_cast<std::size_t>(bit_length) / 8 + 1));
  if (bit_length == 64) {
    frame.byte(value < 0 ? 0xff : 0x00);  // the sign stands in a ninth byte
  }
  return frame;
}

inline void append_number(SmallFrame& frame, double number) {
  if (std::isnan(number)) {
    frame.u64(0x7ff8000000000000u);  // one NaN for all
  } else {
    frame.raw(&number, sizeof number);
  }
}

inline SmallFrame float_frame(double number) {
  SmallFrame frame('F');
  append_number(frame, number);
  return frame;
}

inline SmallFrame complex_frame(double real, double imaginary) {
  SmallFrame frame('C');
  append_number(frame, real);
  append_number(frame, imaginary);
  return frame;
}

}  // namespace mmhash
