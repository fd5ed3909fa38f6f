// Where the bytes of contiguous memory come from, 16 at a time. A source may read some bytes `behind` the 16
// that it gives.
#pragma once

#include "devices/cuda/words.cuh"

namespace mmhash::cuda {

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
