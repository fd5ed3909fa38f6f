// A strided array in memory, read as what the digest is made of: its elements in row-major (C) order,
// each little-endian. No Python here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "identity/dtype.h"

namespace mmhash {

// The frame has one byte for the number of dimensions. (NumPy stops at 64, torch does not.)
inline constexpr int kMaxDims = 255;

// What must happen to the bytes of an element before they are the element.
struct Transform {
  bool swap_bytes = false;  // the memory is big-endian
  bool conjugate = false;   // torch's lazy conjugate bit
  bool negate = false;      // torch's lazy negative bit

  bool none() const { return !swap_bytes && !conjugate && !negate; }
};

// The payload of a tensor: `size()` bytes that `read` makes visible piece by piece. Contiguous memory is
// read in place; every other layout is gathered into the caller's scratch memory, never materialised.
// Borrows the memory it describes; immutable and so safe to read from many threads.
class Payload {
 public:
  // Plain bytes in place.
  Payload(const void* data, std::size_t size);

  // `strides` in bytes, of any sign; `shape` without negative entries. The product of the shape and the
  // itemsize must fit in 63 bits (see checked_size).
  Payload(const void* data, const Dtype& dtype, std::span<const std::int64_t> shape,
          std::span<const std::int64_t> strides, Transform transform);

  std::size_t size() const { return size_; }

  // True if read() returns pointers into the caller's own memory.
  bool in_place() const { return in_place_; }
  const std::byte* data() const { return data_; }

  // The layout without dimensions of extent 1, and with those merged that continue each other.
  const Dtype& dtype() const { return dtype_; }
  Transform transform() const { return transform_; }
  std::span<const std::int64_t> shape() const { return {shape_, static_cast<std::size_t>(ndim_)}; }
  std::span<const std::int64_t> strides() const { return {strides_, static_cast<std::size_t>(ndim_)}; }

  // The bytes [offset, offset + size), both multiples of the itemsize; `scratch` holds `size` bytes.
  const std::byte* read(std::size_t offset, std::size_t size, std::byte* scratch) const {
    if (in_place_) {
      return data_ + offset;
    }
    gather(offset, size, scratch);
    return scratch;
  }

 private:
  void gather(std::size_t offset, std::size_t size, std::byte* out) const;

  const std::byte* data_;
  std::size_t size_;
  bool in_place_;
  Transform transform_{};
  Dtype dtype_{};
  int ndim_ = 0;  // after dropping and merging dimensions
  std::int64_t shape_[kMaxDims];
  std::int64_t strides_[kMaxDims];
};

// Bytes of a dense array of that shape. False if they do not fit in 63 bits.
bool checked_size(std::span<const std::int64_t> shape, std::size_t itemsize, std::size_t& size);

}  // namespace mmhash
