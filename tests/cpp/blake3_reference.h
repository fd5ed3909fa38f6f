// BLAKE3 as its paper defines it, written to be read: what the kernels are compared with.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace blake3_reference {

using Words = std::array<std::uint32_t, 8>;
using Bytes = std::span<const std::byte>;

inline constexpr Words kIv{0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                           0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
inline constexpr std::uint32_t kChunkStart = 1, kChunkEnd = 2, kParent = 4, kRoot = 8, kKeyed = 16;

inline Words compress(const Words& cv, std::array<std::uint32_t, 16> m, std::uint64_t counter,
                      std::uint32_t size, std::uint32_t flags) {
  std::array<std::uint32_t, 16> v{};
  std::copy(cv.begin(), cv.end(), v.begin());
  std::copy_n(kIv.begin(), 4, v.begin() + 8);
  v[12] = static_cast<std::uint32_t>(counter);
  v[13] = static_cast<std::uint32_t>(counter >> 32);
  v[14] = size;
  v[15] = flags;
  const auto g = [&](std::size_t a, std::size_t b, std::size_t c, std::size_t d, std::size_t at) {
    for (std::size_t half = 0; half < 2; ++half) {
      v[a] += v[b] + m[at + half];
      v[d] = std::rotr(v[d] ^ v[a], half == 0 ? 16 : 8);
      v[c] += v[d];
      v[b] = std::rotr(v[b] ^ v[c], half == 0 ? 12 : 7);
    }
  };
  constexpr std::array<std::size_t, 16> kPermutation{2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
  for (int round = 0; round < 7; ++round) {
    for (std::size_t i = 0; i < 4; ++i) {
      g(i, 4 + i, 8 + i, 12 + i, 2 * i);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      g(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, 8 + 2 * i);
    }
    const auto before = m;
    for (std::size_t i = 0; i < 16; ++i) {
      m[i] = before[kPermutation[i]];
    }
  }
  Words out{};
  for (std::size_t i = 0; i < 8; ++i) {
    out[i] = v[i] ^ v[i + 8];
  }
  return out;
}

// The chaining value of a subtree whose first chunk has that number; of all, where `root` is kRoot.
inline Words node(Bytes data, std::uint64_t chunk, const Words& key, std::uint32_t flags,
                  std::uint32_t root) {
  std::array<std::uint32_t, 16> m{};
  if (data.size() <= 1024) {
    Words cv = key;
    for (std::size_t at = 0; at == 0 || at < data.size(); at += 64) {
      const std::size_t size = std::min<std::size_t>(64, data.size() - at);
      const std::uint32_t end = at + 64 >= data.size() ? kChunkEnd | root : 0;
      m = {};
      if (size > 0) {
        std::memcpy(m.data(), data.data() + at, size);
      }
      cv =
          compress(cv, m, chunk, static_cast<std::uint32_t>(size), flags | (at == 0 ? kChunkStart : 0) | end);
    }
    return cv;
  }
  // To the left stands the largest complete tree that leaves something for the right.
  const std::size_t left = std::bit_floor((data.size() - 1) / 1024) * 1024;
  const Words children[2] = {node(data.first(left), chunk, key, flags, 0),
                             node(data.subspan(left), chunk + left / 1024, key, flags, 0)};
  std::memcpy(m.data(), children, sizeof children);
  return compress(key, m, 0, 64, flags | kParent | root);
}

// The 32-byte digest; `key` is null or 32 bytes.
inline std::array<std::byte, 32> hash(Bytes data, const std::uint8_t* key = nullptr) {
  Words words = kIv;
  if (key != nullptr) {
    std::memcpy(words.data(), key, sizeof words);
  }
  const Words digest = node(data, 0, words, key == nullptr ? 0 : kKeyed, kRoot);
  std::array<std::byte, 32> bytes{};
  std::memcpy(bytes.data(), digest.data(), bytes.size());
  return bytes;
}

}  // namespace blake3_reference
