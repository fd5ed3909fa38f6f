// A leaf of any size that a warp has in its shared memory: what is not a whole leaf of contiguous memory,
// that is at most one leaf at the end, the digests of the levels above, and every leaf of a strided tensor.
// Loops that are not unrolled: little code, since NVRTC compiles it when the first tensor is hashed.
#pragma once

#include "sources.cuh"
#include "xxh3.cuh"
#include "xxh3_short.cuh"

namespace mmhash::cuda {

// Brings `size` bytes, at most a leaf, from any address of the device into the warp's shared memory.
__device__ __noinline__ void stage(const u8* from, u32 size, u8* staged, u32 lane) {
  const Unaligned<false> source{from};
  __syncwarp();
  Pair words[16];
#pragma unroll
  for (u32 k = 0; k < 16; ++k) {  // all loads first: one latency, not 16
    if (512 * k + 16 * lane + 16 <= size) {
      words[k] = source(512 * k + 16 * lane);
    }
  }
#pragma unroll
  for (u32 k = 0; k < 16; ++k) {
    if (512 * k + 16 * lane + 16 <= size) {
      *reinterpret_cast<ulonglong2*>(staged + 512 * k + 16 * lane) = {words[k].even, words[k].odd};
    }
  }
  if (lane < size % 16) {
    const u32 at = size - size % 16 + lane;
    staged[at] = __ldcg(from + at);
  }
  __syncwarp();
}

// The lanes' stripes of one block, at most eight of them from `row` on, added up for all lanes.
__device__ inline Pair sum_over_rows(Pair sum) {
#pragma unroll
  for (int across = 4; across < 32; across *= 2) {
    sum.even += __shfl_xor_sync(kAllLanes, sum.even, across);
    sum.odd += __shfl_xor_sync(kAllLanes, sum.odd, across);
  }
  return sum;
}

// More than 240 bytes, in the form of hash_whole().
__device__ inline u64 hash_staged_long(const u8* staged, u32 size, u32 lane) {
  const u32 row = lane / 4, pair = lane % 4;
  const u32 stripes = (size - 1) / 64;  // that end before the input does; the last one ends with it
  const Pair scramble_key = key_of(kStripes.at + 16 + 2 * pair);
  Pair accumulators = key_of(kStart.at + 2 * pair);
#pragma unroll 1
  for (u32 block = 0;; ++block) {
    Pair sum{0, 0};
    for (u32 stripe = row; stripe < 16 && 16 * block + stripe < stripes; stripe += 8) {
      const u8* from = staged + 1024 * block + 64 * stripe + 16 * pair;
      const ulonglong2 words = *reinterpret_cast<const ulonglong2*>(from);
      mix(sum, {words.x, words.y}, key_of(kStripes.at + stripe + 2 * pair));
    }
    const bool is_last = block == (size - 1) / 1024;
    if (is_last && row == 0) {
      const u8* from = staged + size - 64 + 16 * pair;
      mix(sum, {read64(from), read64(from + 8)}, key_of(kLast.at + 2 * pair));
    }
    __syncwarp();
    sum = sum_over_rows(sum);
    accumulators.even += sum.even;
    accumulators.odd += sum.odd;
    if (is_last) {
      return merged(accumulators, size, lane);
    }
    accumulators.even = scrambled(accumulators.even, scramble_key.even);
    accumulators.odd = scrambled(accumulators.odd, scramble_key.odd);
  }
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
