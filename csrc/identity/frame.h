// The bytes that are hashed for one value: `mmh1`, the kind, its parts (docs/SPEC.md). No Python here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "identity/layout.h"
#include "identity/tree.h"

namespace mmhash {

// From here on XXH3's streaming mode, which starts slower, beats copying the payload behind its header: at 4
// KiB by 138 to 185 ns, at 8 KiB by 231 to 312, at 2 KiB 92 to 86 (AVX2, Zen 3, in L1).
inline constexpr std::size_t kJoinBytes = 3072;

// A frame of fixed capacity on the stack.
template <std::size_t kCapacity>
class FrameOf {
 public:
  explicit FrameOf(char kind) {
    std::memcpy(bytes_, "mmh1", 4);
    bytes_[4] = static_cast<std::byte>(kind);
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
  Digest digest(const Payload& payload) {
    if (payload.in_place() && payload.size() >= kJoinBytes && payload.size() <= kLeafBytes) {
      return xxh3_128(bytes_, size_, payload.data(), payload.size());
    }
    size_ += fold(payload, bytes_ + size_);
    return digest();
  }
  Digest digest(Fold& fold) {
    size_ += fold.finish(bytes_ + size_);
    return digest();
  }

  void raw(const void* data, std::size_t size) {
    std::memcpy(bytes_ + size_, data, size);
    size_ += size;
  }

  Digest digest() const { return xxh3_128(bytes_, size_); }

 private:
  std::size_t size_ = 5;
  std::byte bytes_[kCapacity];
};

// Of a value with a payload. Before it stand at most mark and kind, a dtype's name with its length byte, and
// the number of dimensions with the dimensions.
using Frame = FrameOf<5 + 256 + 1 + 8 * kMaxDims + kLeafBytes>;

// Of a number.
using SmallFrame = FrameOf<32>;

// The digest of a frame of any length: its header, then the identities of the values it is made of.
inline Digest hash_frame(char kind, std::span<const std::byte> header, std::span<const Digest> parts) {
  constexpr std::size_t kMark = 5;
  std::vector<std::byte> bytes(kMark + header.size() + parts.size_bytes());
  std::memcpy(bytes.data(), "mmh1", 4);
  bytes[4] = static_cast<std::byte>(kind);
  std::copy(header.begin(), header.end(), bytes.begin() + kMark);
  const auto tail = std::as_bytes(parts);
  std::copy(tail.begin(), tail.end(), bytes.begin() + kMark + static_cast<std::ptrdiff_t>(header.size()));
  return xxh3_128(bytes.data(), bytes.size());
}

}  // namespace mmhash
