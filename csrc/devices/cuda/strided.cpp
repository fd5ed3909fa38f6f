#include "devices/cuda/strided.h"

#include <algorithm>
#include <cstring>

namespace mmhash::cuda {
namespace {

// The largest power of two that divides the address of every element, at most `limit`: what the GPU can read
// as one.
unsigned common_alignment(const Payload& payload, unsigned limit) {
  std::uint64_t bits = reinterpret_cast<std::uintptr_t>(payload.data()) | limit;
  for (const std::int64_t stride : payload.strides()) {
    bits |= static_cast<std::uint64_t>(stride);
  }
  return static_cast<unsigned>(bits & (~bits + 1));
}

// The sign bits that a lazy negation or conjugation flips, in any 16 bytes of the payload.
void flip_signs(const Dtype& dtype, Transform transform, unsigned long long (&flipped)[2]) {
  const bool complex = dtype.element_class == ElementClass::Complex;
  const unsigned width = complex ? dtype.itemsize / 2u : dtype.itemsize;  // of a number
  unsigned char pattern[16] = {};
  for (unsigned number = 0; number < 16 / width; ++number) {
    const bool imaginary = complex && number % 2 == 1;
    if (transform.negate != (transform.conjugate && imaginary)) {
      pattern[(number + 1) * width - 1] = 0x80;  // little-endian: the sign stands in the last byte
    }
  }
  std::memcpy(flipped, pattern, sizeof pattern);
}

}  // namespace

bool describe(const Payload& payload, Strided& layout) {
  const Dtype& dtype = payload.dtype();
  layout.unit = common_alignment(payload, dtype.itemsize);
  const Transform transform = payload.transform();
  layout.negate = transform.negate && dtype.element_class == ElementClass::Integer;
  layout.boolean = dtype.element_class == ElementClass::Bool;
  layout.flipped[0] = layout.flipped[1] = 0;
  if (!layout.negate) {
    flip_signs(dtype, transform, layout.flipped);
  }
  const bool split = layout.unit < dtype.itemsize;  // an element is several units, which lie side by side
  const std::size_t ndim = std::max<std::size_t>(payload.shape().size(), 1);
  if (transform.swap_bytes || (layout.negate && split) || ndim + split > kMaxStridedDims) {
    return false;
  }
  layout.ndim = static_cast<int>(ndim + split);
  layout.shape[0] = 1;  // of a single element
  layout.strides[0] = 0;
  for (std::size_t d = 0; d < payload.shape().size(); ++d) {
    layout.shape[d] = static_cast<unsigned long long>(payload.shape()[d]);
    layout.strides[d] = payload.strides()[d];
  }
  if (split) {
    layout.shape[ndim] = dtype.itemsize / layout.unit;
    layout.strides[ndim] = layout.unit;
  }
  return true;
}

}  // namespace mmhash::cuda
