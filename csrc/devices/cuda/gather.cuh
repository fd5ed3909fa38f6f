// The elements of a strided tensor, in row-major order, into the shared memory of one warp.
#pragma once

#include "job.h"
#include "sources.cuh"
#include "xxh3.cuh"

namespace mmhash::cuda {

// Where a leaf begins: its first unit's index in every dimension, and the offset of what the dimensions
// outside of it add up to. Found once for each leaf, since it takes divisions of 64 bits.
struct Place {
  u64 index[kMaxStridedDims];
  long long outside[kMaxStridedDims];
};

__device__ inline void find_place(const Strided& layout, u64 unit, Place& place, u32 lane) {
  __syncwarp();
  if (lane == 0) {
#pragma unroll 1
    for (int d = layout.ndim - 1; d >= 0; --d) {
      const u64 above = d == 0 ? 0 : unit / layout.shape[d];
      place.index[d] = unit - above * layout.shape[d];
      unit = above;
    }
    long long outside = 0;
#pragma unroll 1
    for (int d = 0; d < layout.ndim; ++d) {
      place.outside[d] = outside;
      outside += static_cast<long long>(place.index[d]) * layout.strides[d];
    }
  }
  __syncwarp();
}

// The address of the unit that lies `steps` < kLeafBytes units after the place.
__device__ inline const u8* address_of(const u8* data, const Strided& layout, const Place& place, u32 steps) {
  int d = layout.ndim - 1;
#pragma unroll 1
  for (;; --d) {
    u64 index = place.index[d] + steps;
    const u64 extent = layout.shape[d];
    if (index < extent) {
      return data + place.outside[d] + static_cast<long long>(index) * layout.strides[d];
    }
    // A dimension that is longer than a leaf is left at most once; the others' indices have 32 bits.
    steps = extent > kLeafBytes ? 1 : static_cast<u32>(index) / static_cast<u32>(extent);
    index -= steps * extent;
    data += static_cast<long long>(index) * layout.strides[d];
  }
}

template <class Word>
__device__ inline void gather_units(const u8* data, const Strided& layout, const Place& place, u32 count,
                                    Word* out, u32 lane) {
#pragma unroll 1
  for (u32 i = lane; i < count; i += 128) {
    Word words[4];
#pragma unroll
    for (u32 k = 0; k < 4; ++k) {  // four loads in flight
      if (i + 32 * k < count) {
        words[k] = *reinterpret_cast<const Word*>(address_of(data, layout, place, i + 32 * k));
      }
    }
#pragma unroll
    for (u32 k = 0; k < 4; ++k) {
      if (i + 32 * k < count) {
        out[i + 32 * k] = words[k];
      }
    }
  }
}

template <class Word>
__device__ inline void negate_units(Word* units, u32 count, u32 lane) {
#pragma unroll 1
  for (u32 i = lane; i < count; i += 32) {
    units[i] = static_cast<Word>(Word{0} - units[i]);
  }
}

// Bytes [begin, begin + size) of the payload, both multiples of the unit, by all lanes of the warp.
__device__ inline void gather(const u8* data, const Strided& layout, u64 begin, u32 size, Place& place,
                              u8* out, u32 lane) {
  find_place(layout, begin / layout.unit, place, lane);
  const u32 count = size / layout.unit;
  auto* words16 = reinterpret_cast<u16*>(out);
  auto* words32 = reinterpret_cast<u32*>(out);
  auto* words64 = reinterpret_cast<u64*>(out);
  auto* words128 = reinterpret_cast<ulonglong2*>(out);
  switch (layout.unit) {
    case 1: gather_units(data, layout, place, count, out, lane); break;
    case 2: gather_units(data, layout, place, count, words16, lane); break;
    case 4: gather_units(data, layout, place, count, words32, lane); break;
    case 8: gather_units(data, layout, place, count, words64, lane); break;
    default: gather_units(data, layout, place, count, words128, lane);
  }
  __syncwarp();
  if (layout.negate) {
    switch (layout.unit) {
      case 1: negate_units(out, count, lane); break;
      case 2: negate_units(words16, count, lane); break;
      case 4: negate_units(words32, count, lane); break;
      default: negate_units(words64, count, lane);
    }
    __syncwarp();
  }
  if ((layout.flipped[0] | layout.flipped[1]) != 0) {
#pragma unroll 1
    for (u32 i = lane; i < (size + 15) / 16; i += 32) {  // what lies behind the end does not matter
      words128[i].x ^= layout.flipped[0];
      words128[i].y ^= layout.flipped[1];
    }
    __syncwarp();
  }
  if (layout.boolean) {
#pragma unroll 1
    for (u32 i = lane; i < (size + 15) / 16; i += 32) {
      words128[i].x = canonical_bools(words128[i].x);
      words128[i].y = canonical_bools(words128[i].y);
    }
    __syncwarp();
  }
}

}  // namespace mmhash::cuda
