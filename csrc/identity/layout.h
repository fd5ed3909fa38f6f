// A strided array in memory, read as what the digest is made of: its elements in row-major (C) order,
// each little-endian. No Python here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "identity/dtype.h"

namespace mmhash {

// Non-canonical booleans
// ----------------------
// A bool is a byte whose every value but 0 means true, and views of other memory (uint8.view(bool),
// frombuffer) leave any there. Equal values have equal identities, so the payload has 1 for each of them.
// Blocks of 0 and 1 are nearly all there are: read() looks at a block while it brings it into the cache and
// hands out the memory itself, and only a block with another byte is copied. That is here, below every
// algorithm, device and intake, because whoever reads a payload by read() cannot forget it. A thread that
// writes between the look and the hash makes the digest that of some mixture, as it would anyhow.

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

  // True if read() returns pointers into the caller's own memory; of bool, but for blocks with bytes other
  // than 0 and 1.
  bool in_place() const { return in_place_; }
  // True if the memory is the payload byte for byte, so that it may be read by data() and needs no scratch.
  bool verbatim() const { return verbatim_; }
  const std::byte* data() const { return data_; }

  // The layout without dimensions of extent 1, and with those merged that continue each other.
  const Dtype& dtype() const { return dtype_; }
  Transform transform() const { return transform_; }
  std::span<const std::int64_t> shape() const { return {shape_, static_cast<std::size_t>(ndim_)}; }
  std::span<const std::int64_t> strides() const { return {strides_, static_cast<std::size_t>(ndim_)}; }

  // The bytes [offset, offset + size), both multiples of the itemsize; `scratch` holds `size` bytes.
  const std::byte* read(std::size_t offset, std::size_t size, std::byte* scratch) const {
    return verbatim_ ? data_ + offset : read_block(offset, size, scratch);
  }

 private:
  const std::byte* read_block(std::size_t offset, std::size_t size, std::byte* scratch) const;
  void gather(std::size_t offset, std::size_t size, std::byte* out) const;

  const std::byte* data_;
  std::size_t size_;
  bool in_place_, verbatim_;
  Transform transform_{};
  Dtype dtype_{};
  int ndim_ = 0;  // after dropping and merging dimensions
  std::int64_t shape_[kMaxDims];
  std::int64_t strides_[kMaxDims];
};

// Bytes of a dense array of that shape. False if they do not fit in 63 bits.
bool checked_size(std::span<const std::int64_t> shape, std::size_t itemsize, std::size_t& size);

}  // namespace mmhash
