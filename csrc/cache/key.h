// The key of an entry: where the memory is and how it is read. No Python here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "algorithms/xxh3/dispatch.h"

namespace mmhash {

// Addresses [begin, end) of memory.
struct Extent {
  std::uint64_t begin = 0, end = 0;
  bool meets(const Extent& other) const { return begin < other.end && other.begin < end; }
};

struct CacheKey {
  std::uint64_t owner = 0;      // address of the object that the memory lives and dies with
  std::uint64_t data = 0;       // address of the first element
  Xxh3Digest layout{};          // XXH3-128 of dtype, lazy bits, shape and strides
  std::uint64_t algorithm = 0;  // Algorithm::serial of what made the digest
  bool operator==(const CacheKey&) const = default;
};

struct CacheKeyHash {
  std::size_t operator()(const CacheKey& key) const {
    std::uint64_t layout;
    std::memcpy(&layout, key.layout.data(), sizeof layout);  // its bits are mixed already
    return static_cast<std::size_t>(layout ^ (key.data * 0x9e3779b97f4a7c15u) ^ key.owner);
  }
};

}  // namespace mmhash
