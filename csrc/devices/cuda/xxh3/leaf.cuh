// XXH3-128 (seed 0, default secret; xxhash.com, doc/xxhash_spec.md) of one leaf by one warp.
//
// Why a warp: XXH3 takes its input in stripes of 64 bytes, and between two scrambles, that is within 16
// stripes, only adds what each contributes. So the contributions of all 128 stripes of a leaf are computed at
// once, by lanes that each hold the same pair of accumulators of every eighth stripe, and only their sums,
// one for each block of 16 stripes, go through the seven scrambles. A leaf thus takes one memory latency
// instead of eight, its loads are 512 neighbouring bytes, and the swap between neighbouring accumulators
// stays in a lane.
#pragma once

#include "devices/cuda/job.h"
#include "devices/cuda/words.cuh"

namespace mmhash::cuda {

constexpr u64 kPrime32_1 = 0x9E3779B1u, kPrime32_2 = 0x85EBCA77u, kPrime32_3 = 0xC2B2AE3Du;
constexpr u64 kPrime64_1 = 0x9E3779B185EBCA87u, kPrime64_2 = 0xC2B2AE3D27D4EB4Fu,
              kPrime64_3 = 0x165667B19E3779F9u, kPrime64_4 = 0x85EBCA77C2B2AE63u,
              kPrime64_5 = 0x27D4EB2F165667C5u;

// The default secret; XXH3 reads it as little-endian words of 8 bytes.
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

// What each lane needs of the secret and of the first accumulators: lanes of one column (lane % 4) have the
// same pair of accumulators, those of one row (lane / 4) the same stripes. From global memory, 512
// neighbouring bytes at a time: lanes that read different words of __constant__ memory wait for each other.
struct LaneKeys {
  Pair upper[32];   // of stripe `row` of a block; a stripe's key begins 8 bytes after that of the one before
  Pair lower[32];   // of stripe `row + 8`
  Pair ending[32];  // of the last stripe
  Pair scramble[32];  // between two blocks
  Pair start[32];     // not the secret's: what the accumulators begin with
  Pair merge[32];     // of the low half of the digest in even rows, of the high half in odd ones
};

__device__ constexpr Pair secret_pair(u32 at) {
  return {secret_word(at), secret_word(at + 8)};
}

__device__ constexpr LaneKeys lane_keys() {
  constexpr u64 start[8] = {kPrime32_3, kPrime64_1, kPrime64_2, kPrime64_3,
                            kPrime64_4, kPrime32_2, kPrime64_5, kPrime32_1};
  LaneKeys keys{};
  for (u32 lane = 0; lane < 32; ++lane) {
    const u32 row = lane / 4, column = lane % 4;
    keys.upper[lane] = secret_pair(8 * row + 16 * column);
    keys.lower[lane] = secret_pair(8 * (row + 8) + 16 * column);
    keys.ending[lane] = secret_pair(121 + 16 * column);
    keys.scramble[lane] = secret_pair(128 + 16 * column);
    keys.start[lane] = {start[2 * column], start[2 * column + 1]};
    keys.merge[lane] = secret_pair((row % 2 == 0 ? 11 : 117) + 16 * column);
  }
  return keys;
}

__device__ const LaneKeys kLaneKeys = lane_keys();

__device__ inline Pair load_key(const Pair (&keys)[32], u32 lane) {
  const ulonglong2 words = __ldg(reinterpret_cast<const ulonglong2*>(&keys[lane]));
  return {words.x, words.y};
}

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

// The digest from each lane's sums of the blocks up to `last_block`, which the scramble does not follow: its
// low half in lane 0, its high half in lane 4.
__device__ inline u64 finish(Pair (&sums)[8], u32 last_block, u32 size, u32 lane) {
  scatter_sums(sums, lane);
  const Pair scramble = load_key(kLaneKeys.scramble, lane);
  const Pair merge = load_key(kLaneKeys.merge, lane);
  Pair accumulators = load_key(kLaneKeys.start, lane);
#pragma unroll
  for (u32 b = 0; b < 8; ++b) {
    if (b <= last_block) {
      const int owner = static_cast<int>(4 * b + lane % 4);
      accumulators.even += __shfl_sync(kAllLanes, sums[0].even, owner);
      accumulators.odd += __shfl_sync(kAllLanes, sums[0].odd, owner);
    }
    if (b < last_block) {
      accumulators.even = scrambled(accumulators.even, scramble.even);
      accumulators.odd = scrambled(accumulators.odd, scramble.odd);
    }
  }
  u64 hash = folded_product(accumulators.even ^ merge.even, accumulators.odd ^ merge.odd);
  hash += __shfl_xor_sync(kAllLanes, hash, 1);
  hash += __shfl_xor_sync(kAllLanes, hash, 2);
  hash += lane / 4 % 2 == 0 ? size * kPrime64_1 : ~(size * kPrime64_2);
  return avalanche(hash);
}

// A whole leaf. `source(offset)` gives 16 bytes at a multiple of 16.
template <class Source>
__device__ inline u64 hash_whole(const Source& source, u32 lane) {
  Pair bytes[16];
#pragma unroll
  for (u32 k = 0; k < 16; ++k) {
    bytes[k] = source(512 * k + 16 * lane);
  }
  const Pair upper = load_key(kLaneKeys.upper, lane), lower = load_key(kLaneKeys.lower, lane);
  const Pair ending = lane >= 28 ? load_key(kLaneKeys.ending, lane) : lower;
  Pair sums[8];
#pragma unroll
  for (u32 b = 0; b < 8; ++b) {
    sums[b] = {0, 0};
    mix(sums[b], bytes[2 * b], upper);
    mix(sums[b], bytes[2 * b + 1], b == 7 ? ending : lower);
  }
  return finish(sums, 7, kLeafBytes, lane);
}

}  // namespace mmhash::cuda
