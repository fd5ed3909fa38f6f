// Where the bytes of a leaf in the device's memory come from, 16 at a time, and what orders memory. A source
// may read some bytes `behind` the 16 that it gives.
#pragma once

#include "xxh3.cuh"

namespace mmhash::cuda {

// What this thread has written or seen is visible to whoever then sees its next write: to other blocks, or to
// the host too. Weaker than __threadfence(), which also puts all fences into one order.
__device__ inline void fence() {
#ifdef __CUDA_ARCH__
  asm volatile("fence.acq_rel.gpu;" ::: "memory");
#endif
}

__device__ inline void fence_with_host() {
#ifdef __CUDA_ARCH__
  asm volatile("fence.acq_rel.sys;" ::: "memory");
#endif
}

__device__ inline Pair as_pair(const ulonglong2& words) {
  return {words.x, words.y};
}

// The 16 bytes that begin `ahead` bytes, 1 to 15, after the beginning of two words that follow each other.
__device__ inline Pair shifted(const Pair& first, const Pair& second, u32 ahead) {
  const bool half = ahead >= 8;
  const u64 a = half ? first.odd : first.even;
  const u64 b = half ? second.even : first.odd;
  const u64 c = half ? second.odd : second.even;
  const u32 shift = 8 * (ahead % 8);
  // To the left in two steps, since a shift by 64 means nothing.
  return {a >> shift | b << 1 << (63 - shift), b >> shift | c << 1 << (63 - shift)};
}

// 1 for each byte that is not 0: the payload of bools (layout.h), eight at a time.
__device__ inline u64 canonical_bools(u64 bytes) {
  constexpr u64 kLow = 0x7f7f7f7f7f7f7f7fu;
  return (((bytes & kLow) + kLow) | bytes) >> 7 & 0x0101010101010101u;
}

// A tensor, which nothing writes during the launch, at an address that is a multiple of 16.
struct Aligned {
  const u8* from;
  __device__ u32 behind() const { return 0; }
  __device__ u8 byte(u32 offset) const { return __ldcg(from + offset); }
  __device__ Pair operator()(u32 offset) const {
    return as_pair(__ldg(reinterpret_cast<const ulonglong2*>(from + offset)));
  }
};

// Digests that other warps have written during the launch: past the L1 cache, which could hold older bytes.
struct Written {
  const u8* from;
  __device__ u32 behind() const { return 0; }
  __device__ u8 byte(u32 offset) const { return __ldcg(from + offset); }
  __device__ Pair operator()(u32 offset) const {
    return as_pair(__ldcg(reinterpret_cast<const ulonglong2*>(from + offset)));
  }
};

// A tensor at any other address: reads the two aligned words that hold the 16 bytes. The first may begin
// before the tensor, but not before the memory that it is in, which is aligned.
struct Unaligned {
  const u8* from;
  __device__ u32 ahead() const { return static_cast<u32>(reinterpret_cast<u64>(from) % 16); }
  __device__ u32 behind() const { return 16 - ahead(); }
  __device__ u8 byte(u32 offset) const { return __ldcg(from + offset); }
  __device__ Pair operator()(u32 offset) const {
    const Aligned words{from + offset - ahead()};
    return shifted(words(0), words(16), ahead());
  }
};

// A tensor of bools at any address: one kernel for both, since masks are small and few.
struct Bools {
  const u8* from;
  __device__ u32 behind() const { return Unaligned{from}.behind(); }
  __device__ u8 byte(u32 offset) const { return Unaligned{from}.byte(offset) != 0; }
  __device__ Pair operator()(u32 offset) const {
    const Pair pair = Unaligned{from}(offset);
    return {canonical_bools(pair.even), canonical_bools(pair.odd)};
  }
};

}  // namespace mmhash::cuda
