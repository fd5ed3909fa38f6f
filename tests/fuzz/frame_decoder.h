// A decoder of frames, written from docs/SPEC.md and from nothing of csrc/: what a frame says of its value.
// That it exists, and that encode() is its inverse on both sides, is the proof that no two values share a
// frame; what is left to the hash are its own collisions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace spec {

using Bytes = std::vector<std::uint8_t>;

// What differs between algorithms: the size of a digest, and tree(p) of more than 8192 bytes, which is one
// digest or those of leaves.
struct Format {
  std::size_t digest_bytes;
  bool leaves;
};
inline constexpr Format kXxh3{16, true};
inline constexpr Format kWide{32, false};  // BLAKE3 and SHA-256

// A payload as it stands in a frame: up to 8192 bytes are the payload, more are digests of it. Which of the
// two they are is known from the length, which the frame holds or implies.
struct Folded {
  std::uint64_t length;
  Bytes bytes;
  bool in_place() const { return length <= 8192; }
  bool operator==(const Folded&) const = default;
};

struct None {
  bool operator==(const None&) const = default;
};
struct Bool {
  bool value;
  bool operator==(const Bool&) const = default;
};
struct Int {
  bool negative;
  Bytes magnitude;  // little-endian, without zeros at its end: of 0 it is empty
  bool operator==(const Int&) const = default;
};
struct Float {
  std::uint64_t bits;
  bool operator==(const Float&) const = default;
};
struct Complex {
  std::uint64_t real, imaginary;
  bool operator==(const Complex&) const = default;
};
struct ShortText {
  std::u32string characters;
  bool operator==(const ShortText&) const = default;
};
struct LongText {
  Folded utf8;
  bool operator==(const LongText&) const = default;
};
struct Buffer {
  Folded content;
  bool operator==(const Buffer&) const = default;
};
struct List {
  std::vector<Bytes> identities;
  bool operator==(const List&) const = default;
};
struct Mapping {
  std::vector<std::pair<Bytes, Bytes>> entries;  // sorted
  bool operator==(const Mapping&) const = default;
};
struct Tensor {
  std::string dtype;
  std::vector<std::uint64_t> shape;
  Folded payload;
  bool operator==(const Tensor&) const = default;
};
struct Image {
  std::string mode;
  std::uint64_t width, height;
  Bytes palette, transparency, pixels;
  bool operator==(const Image&) const = default;
};

using Value =
    std::variant<None, Bool, Int, Float, Complex, ShortText, LongText, Buffer, List, Mapping, Tensor, Image>;

// The value of that frame, or nothing where the bytes are the frame of none.
std::optional<Value> decode(std::span<const std::uint8_t> frame, const Format& format);

Bytes encode(const Value& value);

// UTF-8 in which a surrogate is a character like its neighbours.
Bytes utf8(const std::u32string& characters);

}  // namespace spec
