// The bytes that are hashed for one value: `mmh1`, the kind, its parts (docs/SPEC.md). No Python here.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "identity/algorithm.h"
#include "identity/tree.h"

namespace mmhash {

// What every frame begins with: the format and its version.
inline constexpr std::array kMark{std::byte{'m'}, std::byte{'m'}, std::byte{'h'}, std::byte{'1'}};

// A frame of fixed capacity on the stack.
template <std::size_t kCapacity>
class FrameOf {
 public:
  explicit FrameOf(char kind) {
    std::copy(kMark.begin(), kMark.end(), bytes_);
    bytes_[kMark.size()] = static_cast<std::byte>(kind);
  }

  // The frame of a tensor up to its payload.
  FrameOf(const Dtype& dtype, std::span<const std::int64_t> shape) : FrameOf('T') {
    name(dtype.name);
    byte(static_cast<std::uint8_t>(shape.size()));
    raw(shape.data(), shape.size_bytes());  // u64 each: no dimension is negative
  }

  void byte(std::uint8_t value) { bytes_[size_++] = static_cast<std::byte>(value); }

  void u64(std::uint64_t value) { raw(&value, sizeof value); }  // the host is little-endian: layout.cpp

  // len8(name), name. The caller has checked that the name has at most 255 bytes.
  void name(std::string_view text) {
    byte(static_cast<std::uint8_t>(text.size()));
    raw(text.data(), text.size());
  }

  // The digest of the frame that ends with tree(payload).
  Digest digest(const Algorithm& algorithm, const Payload& payload) {
    if (payload.in_place() && payload.size() >= algorithm.join_bytes && payload.size() <= kLeafBytes) {
      const std::byte* data = payload.read(0, payload.size(), bytes_ + size_);
      return algorithm.hash(bytes_, size_, data, payload.size());
    }
    size_ += algorithm.fold(payload, bytes_ + size_);
    return digest(algorithm);
  }
  Digest digest(const Algorithm& algorithm, Fold& fold) {
    size_ += fold.finish(bytes_ + size_);
    return digest(algorithm);
  }

  void raw(const void* data, std::size_t size) {
    if (size > 0) {  // else `data` may be null, as of the shape of a tensor without dimensions
      std::memcpy(bytes_ + size_, data, size);
    }
    size_ += size;
  }

  // What `write(out)` writes, as many bytes as it returns.
  template <typename Write>
  void append(const Write& write) {
    size_ += write(bytes_ + size_);
  }

  Digest digest(const Algorithm& algorithm) const { return algorithm.hash(bytes_, size_); }

 private:
  std::size_t size_ = kMark.size() + 1;
  std::byte bytes_[kCapacity];
};

// Of a value with a payload. Before it stand at most mark and kind, a dtype's name with its length byte, and
// the number of dimensions with the dimensions.
using Frame = FrameOf<kMark.size() + 1 + 256 + 1 + 8 * kMaxDims + kLeafBytes>;

// The digest of a frame of any length: a short header, then the rest, such as the identities of the values it
// is made of. A long rest is not copied.
inline Digest hash_frame(const Algorithm& algorithm, char kind, std::span<const std::byte> header,
                         std::span<const std::byte> rest) {
  const bool join = rest.size() >= algorithm.join_bytes;
  std::vector<std::byte> bytes(kMark.size() + 1 + header.size() + (join ? 0 : rest.size()));
  auto* end = std::copy(kMark.begin(), kMark.end(), bytes.data());
  *end++ = static_cast<std::byte>(kind);
  end = std::copy(header.begin(), header.end(), end);
  if (join) {
    return algorithm.hash(bytes.data(), bytes.size(), rest.data(), rest.size());
  }
  std::copy(rest.begin(), rest.end(), end);
  return algorithm.hash(bytes.data(), bytes.size());
}

}  // namespace mmhash
