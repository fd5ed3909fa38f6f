// XXH3-128 (seed 0, default secret; xxhash.com, doc/xxhash_spec.md) of one leaf by one warp.
//
// Why a warp: XXH3 takes its input in stripes of 64 bytes, and between two scrambles, that is within 16
// stripes, only adds what each contributes. So the contributions of all 128 stripes of a leaf are computed at
// once, by lanes that each hold the same pair of accumulators of every eighth stripe, and only their sums,
// one for each block of 16 stripes, go through the seven scrambles. A leaf thus takes one memory latency
// instead of eight, its loads are 512 neighbouring bytes, and the swap between neighbouring accumulators
// stays in a lane.
#pragma once

#include "job.h"

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

namespace mmhash::cuda {

constexpr u32 kAllLanes = 0xffffffffu;

constexpr u64 kPrime32_1 = 0x9E3779B1u, kPrime32_2 = 0x85EBCA77u, kPrime32_3 = 0xC2B2AE3Du;
constexpr u64 kPrime64_1 = 0x9E3779B185EBCA87u, kPrime64_2 = 0xC2B2AE3D27D4EB4Fu,
              kPrime64_3 = 0x165667B19E3779F9u, kPrime64_4 = 0x85EBCA77C2B2AE63u,
              kPrime64_5 = 0x27D4EB2F165667C5u;

// The secret at the places where XXH3 reads it, as little-endian words of 8 bytes.
constexpr u8 kSecretBytes[192] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

__device__ constexpr u64 secret_word(u32 at) {
  u64 word = 0;
  for (u32 i = 0; i < 8; ++i) {
    word |= static_cast<u64>(kSecretBytes[at + i]) << (8 * i);
  }
  return word;
}

template <u32 kAt>
constexpr u64 kSecret = secret_word(kAt);

template <u32 kCount>
struct Words {
  u64 at[kCount];
};

template <u32 kCount>
__device__ constexpr Words<kCount> secret_words(u32 from) {
  Words<kCount> words{};
  for (u32 i = 0; i < kCount; ++i) {
    words.at[i] = secret_word(from + 8 * i);
  }
  return words;
}

// For indices that differ between lanes: of the stripes and (from 16 on) the scramble, of the last stripe,
// and of the two halves of the digest. A stripe's secret begins 8 bytes after that of the stripe before it.
__constant__ Words<24> kStripes = secret_words<24>(0);
__constant__ Words<8> kLast = secret_words<8>(121);
__constant__ Words<8> kLow = secret_words<8>(11);
__constant__ Words<8> kHigh = secret_words<8>(117);
__constant__ Words<8> kStart = {
    {kPrime32_3, kPrime64_1, kPrime64_2, kPrime64_3, kPrime64_4, kPrime32_2, kPrime64_5, kPrime32_1}};

// 16 bytes of input, or two neighbouring accumulators.
struct Pair {
  u64 even, odd;
};

__device__ inline u64 low_times_high(u64 word) {
  return (word & 0xffffffffu) * (word >> 32);
}

// What 16 bytes contribute to their two accumulators.
__device__ inline void mix(Pair& sum, const Pair& bytes, const Pair& key) {
  sum.even += bytes.odd + low_times_high(bytes.even ^ key.even);
  sum.odd += bytes.even + low_times_high(bytes.odd ^ key.odd);
}

__device__ inline u64 scrambled(u64 accumulator, u64 key) {
  return (accumulator ^ (accumulator >> 47) ^ key) * kPrime32_1;
}

__device__ inline u64 folded_product(u64 a, u64 b) {
  return (a * b) ^ __umul64hi(a, b);
}

__device__ inline u64 avalanche(u64 hash) {
  hash = (hash ^ (hash >> 37)) * 0x165667919E3779F9u;
  return hash ^ (hash >> 32);
}

__device__ inline Pair key_of(const u64* words) {
  return {words[0], words[1]};
}

// Each lane has the sums of its own stripes for all eight blocks; afterwards it has, in sums[0], those of all
// the warp's stripes for block lane / 4. Each step halves the blocks and adds what the lane across has of
// them.
__device__ inline void scatter_sums(Pair (&sums)[8], u32 lane) {
#pragma unroll
  for (u32 half = 4; half >= 1; half /= 2) {
    const bool upper = (lane & (4 * half)) != 0;
#pragma unroll
    for (u32 b = 0; b < half; ++b) {
      const Pair kept = upper ? sums[b + half] : sums[b];
      const Pair sent = upper ? sums[b] : sums[b + half];
      sums[b].even = kept.even + __shfl_xor_sync(kAllLanes, sent.even, static_cast<int>(4 * half));
      sums[b].odd = kept.odd + __shfl_xor_sync(kAllLanes, sent.odd, static_cast<int>(4 * half));
    }
  }
}

// The digest from all accumulators: its low half in lane 0, its high half in lane 4.
__device__ inline u64 merged(const Pair& accumulators, u32 size, u32 lane) {
  const bool high = lane / 4 % 2 == 1;
  const Pair key = key_of((high ? kHigh.at : kLow.at) + 2 * (lane % 4));
  u64 hash = folded_product(accumulators.even ^ key.even, accumulators.odd ^ key.odd);
  hash += __shfl_xor_sync(kAllLanes, hash, 1);
  hash += __shfl_xor_sync(kAllLanes, hash, 2);
  hash += high ? ~(size * kPrime64_2) : size * kPrime64_1;
  return avalanche(hash);
}

// A whole leaf. `source(offset)` gives 16 bytes at a multiple of 16.
template <class Source>
__device__ inline u64 hash_whole(const Source& source, u32 lane) {
  const u32 row = lane / 4, pair = lane % 4;
  Pair bytes[16];
#pragma unroll
  for (u32 k = 0; k < 16; ++k) {
    bytes[k] = source(512 * k + 16 * lane);
  }
  const Pair first_key = key_of(kStripes.at + row + 2 * pair);
  const Pair second_key = key_of(kStripes.at + 8 + row + 2 * pair);
  const Pair last_key = row == 7 ? key_of(kLast.at + 2 * pair) : second_key;
  Pair sums[8];
#pragma unroll
  for (u32 b = 0; b < 8; ++b) {
    sums[b] = {0, 0};
    mix(sums[b], bytes[2 * b], first_key);
    mix(sums[b], bytes[2 * b + 1], b == 7 ? last_key : second_key);
  }
  scatter_sums(sums, lane);

  const Pair scramble_key = key_of(kStripes.at + 16 + 2 * pair);
  Pair accumulators = key_of(kStart.at + 2 * pair);
#pragma unroll
  for (u32 b = 0; b < 8; ++b) {
    const int owner = static_cast<int>(4 * b + pair);
    accumulators.even += __shfl_sync(kAllLanes, sums[0].even, owner);
    accumulators.odd += __shfl_sync(kAllLanes, sums[0].odd, owner);
    if (b < 7) {
      accumulators.even = scrambled(accumulators.even, scramble_key.even);
      accumulators.odd = scrambled(accumulators.odd, scramble_key.odd);
    }
  }
  return merged(accumulators, kLeafBytes, lane);
}

}  // namespace mmhash::cuda
