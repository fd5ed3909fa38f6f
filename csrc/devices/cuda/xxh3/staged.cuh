// A leaf of any size that a warp has in its shared memory: what is not a whole leaf of contiguous memory,
// that is at most one leaf at the end, the digests of the levels above, and every leaf of a strided tensor.
// Functions that are not inlined: little code, since NVRTC compiles it when the first tensor is hashed.
#pragma once

#include "devices/cuda/words.cuh"
#include "devices/cuda/xxh3/leaf.cuh"
#include "devices/cuda/xxh3/short.cuh"

namespace mmhash::cuda {

// 16 bytes at any address of shared memory.
__device__ inline Pair read_staged(const u8* from) {
  const u32 ahead = static_cast<u32>(reinterpret_cast<u64>(from) % 16);
  const auto* words = reinterpret_cast<const Pair*>(from - ahead);
  return ahead == 0 ? words[0] : shifted(words[0], words[1], ahead);
}

// More than 240 bytes, in the form of hash_whole().
__device__ inline u64 hash_staged_long(const u8* staged, u32 size, u32 lane) {
  const u32 row = lane / 4;
  const u32 stripes = (size - 1) / 64;  // that end before the input does; the last one ends with it
  const u32 last_block = (size - 1) / 1024;
  const auto* words = reinterpret_cast<const Pair*>(staged) + lane;
  const Pair upper = load_key(kLaneKeys.upper, lane), lower = load_key(kLaneKeys.lower, lane);
  Pair sums[8];
#pragma unroll
  for (u32 b = 0; b < 8; ++b) {
    sums[b] = {0, 0};
    if (16 * b + row < stripes) {
      mix(sums[b], words[64 * b], upper);
    }
    if (16 * b + 8 + row < stripes) {
      mix(sums[b], words[64 * b + 32], lower);
    }
  }
  if (row == 0) {
    Pair last{0, 0};
    mix(last, read_staged(staged + size - 64 + 16 * lane), load_key(kLaneKeys.ending, lane));
#pragma unroll
    for (u32 b = 0; b < 8; ++b) {
      sums[b].even += b == last_block ? last.even : 0;
      sums[b].odd += b == last_block ? last.odd : 0;
    }
  }
  __syncwarp();
  return finish(sums, last_block, size, lane);
}

// The digest of 1 to kLeafBytes bytes: its low half in lane 0, its high half in lane 4.
__device__ __noinline__ u64 hash_staged(const u8* staged, u32 size, u32 lane) {
  if (size > 240) {
    return hash_staged_long(staged, size, lane);
  }
  Hash hash{0, 0};
  if (lane == 0) {
    hash = hash_short(staged, size);
  }
  const u64 high = __shfl_sync(kAllLanes, hash.high, 0);
  return lane == 0 ? hash.low : high;
}

}  // namespace mmhash::cuda
