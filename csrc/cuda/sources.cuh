// Where the bytes of a leaf in the device's memory come from, 16 at a time.
#pragma once

#include "xxh3.cuh"

namespace mmhash::cuda {

// The tensor, which nothing writes during the launch, at an address that is a multiple of 16.
struct Aligned {
  const u8* from;
  __device__ Pair operator()(u32 offset) const {
    const ulonglong2 words = __ldg(reinterpret_cast<const ulonglong2*>(from + offset));
    return {words.x, words.y};
  }
};

// Any address. Reads the aligned words that hold the 16 bytes, each of which holds at least one of them:
// memory is mapped in units that are larger than a word, so all of a word is there if any of it is. Past the
// L1 cache (kCached false) where other warps may have written during the launch.
template <bool kCached>
struct Unaligned {
  const u8* from;
  __device__ static Pair aligned(const u8* address) {
    const auto* pointer = reinterpret_cast<const ulonglong2*>(address);
    const ulonglong2 words = kCached ? __ldg(pointer) : __ldcg(pointer);
    return {words.x, words.y};
  }
  __device__ Pair operator()(u32 offset) const {
    const u32 ahead = static_cast<u32>(reinterpret_cast<u64>(from) % 16);
    const u8* address = from + offset - ahead;
    const Pair first = aligned(address);
    if (ahead == 0) {
      return first;
    }
    const Pair second = aligned(address + 16);
    const bool half = ahead >= 8;
    const u64 a = half ? first.odd : first.even;
    const u64 b = half ? second.even : first.odd;
    const u64 c = half ? second.odd : second.even;
    const u32 shift = 8 * (ahead % 8);
    // To the left in two steps, since a shift by 64 means nothing.
    return {a >> shift | b << 1 << (63 - shift), b >> shift | c << 1 << (63 - shift)};
  }
};

}  // namespace mmhash::cuda
