// The key of an entry: where the memory is and how it is read. No Python here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "algorithms/xxh3/dispatch.h"
#include "identity/algorithm.h"

namespace mmhash {

struct CacheKey {
  std::uint64_t owner = 0;               // address of the object that the memory lives and dies with
  std::uint64_t data = 0;                // address of the first element
  Xxh3Digest layout{};                   // XXH3-128 of dtype, lazy bits, shape and strides
  const Algorithm* algorithm = nullptr;  // that made the digest
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
