// The words that kernels are written in, and what orders memory.
#pragma once

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

namespace mmhash::cuda {

constexpr u32 kAllLanes = 0xffffffffu;

// 16 bytes; of XXH3 also of its secret, or two neighbouring accumulators.
struct alignas(16) Pair {
  u64 even, odd;
};

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

}  // namespace mmhash::cuda
