// The elements of a strided tensor, in row-major order, into the shared memory of one warp.
#pragma once

#include "devices/cuda/job.h"
#include "devices/cuda/words.cuh"

namespace mmhash::cuda {

// No unit is further than this from the place it is found from.
constexpr u32 kMaxSteps = 32 << 10;

// Where a stretch of the payload begins: its first unit's index in every dimension, and the offset of what
// the dimensions outside of it add up to. Found once for each stretch, since it takes divisions of 64 bits.
struct Place {
  u64 index[kMaxStridedDims];
  long long outside[kMaxStridedDims];
};

__device__ inline void find_place(const Strided& layout, u64 unit, Place& place, u32 lane) {
  __syncwarp();  // no lane needs the place before any more
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

// The address of the unit that lies `steps` < kMaxSteps units after the place.
__device__ inline const u8* address_of(const u8* data, const Strided& layout, const Place& place, u32 steps) {
  int d = layout.ndim - 1;
#pragma unroll 1
  for (;; --d) {
    u64 index = place.index[d] + steps;
    const u64 extent = layout.shape[d];
    if (index < extent) {
      return data + place.outside[d] + static_cast<long long>(index) * layout.strides[d];
    }
    // A dimension that is longer than kMaxSteps is left at most once; the others' indices have 32 bits.
    steps = extent > kMaxSteps ? 1 : static_cast<u32>(index) / static_cast<u32>(extent);
    index -= steps * extent;
    data += static_cast<long long>(index) * layout.strides[d];
  }
}

// Which bytes are gathered, by their offsets from the place, and where they come to lie: a stretch as it is.
// A form that gives others says of each multiple of 16 up to `end` which 16 bytes come next.
struct Stretch {
  u32 end;
  __device__ u32 from(u32 at) const { return at; }
  __device__ u32 to(u32 at) const { return at; }
};

// kInFlight loads of a lane at once. What begins at `size` or after is left out.
template <u32 kInFlight, class Word, class Form>
__device__ inline void gather_units(const u8* data, const Strided& layout, const Place& place,
                                    const Form& form, u32 size, u8* out, u32 lane) {
  constexpr u32 kUnit = sizeof(Word), kStep = 32 * kUnit;
#pragma unroll 1
  for (u32 at = kUnit * lane; at < form.end; at += kInFlight * kStep) {
    Word words[kInFlight];
#pragma unroll
    for (u32 k = 0; k < kInFlight; ++k) {
      if (at + k * kStep < form.end && form.from(at + k * kStep) < size) {
        const u32 steps = form.from(at + k * kStep) / kUnit;
        words[k] = *reinterpret_cast<const Word*>(address_of(data, layout, place, steps));
      }
    }
#pragma unroll
    for (u32 k = 0; k < kInFlight; ++k) {
      if (at + k * kStep < form.end && form.from(at + k * kStep) < size) {
        *reinterpret_cast<Word*>(out + form.to(at + k * kStep)) = words[k];
      }
    }
  }
}

template <class Word, class Form>
__device__ inline void negate_units(const Form& form, u8* out, u32 lane) {
#pragma unroll 1
  for (u32 at = sizeof(Word) * lane; at < form.end; at += 32 * sizeof(Word)) {
    Word& unit = *reinterpret_cast<Word*>(out + form.to(at));
    unit = static_cast<Word>(Word{0} - unit);
  }
}

// The bytes of a form that lie before `size`, a multiple of the unit, by all lanes of the warp. What lies
// behind them in their last 16 bytes, or in other words of the form, is anything.
template <u32 kInFlight, class Form>
__device__ inline void gather(const u8* data, const Strided& layout, const Place& place, const Form& form,
                              u32 size, u8* out, u32 lane) {
  switch (layout.unit) {
    case 1: gather_units<kInFlight, u8>(data, layout, place, form, size, out, lane); break;
    case 2: gather_units<kInFlight, u16>(data, layout, place, form, size, out, lane); break;
    case 4: gather_units<kInFlight, u32>(data, layout, place, form, size, out, lane); break;
    case 8: gather_units<kInFlight, u64>(data, layout, place, form, size, out, lane); break;
    default: gather_units<kInFlight, ulonglong2>(data, layout, place, form, size, out, lane);
  }
  __syncwarp();
  if (layout.negate) {
    switch (layout.unit) {
      case 1: negate_units<u8>(form, out, lane); break;
      case 2: negate_units<u16>(form, out, lane); break;
      case 4: negate_units<u32>(form, out, lane); break;
      default: negate_units<u64>(form, out, lane);
    }
    __syncwarp();
  }
  const bool flipped = (layout.flipped[0] | layout.flipped[1]) != 0;
  if (flipped || layout.boolean) {
#pragma unroll 1
    for (u32 at = 16 * lane; at < form.end; at += 512) {
      Pair& words = *reinterpret_cast<Pair*>(out + form.to(at));
      words = {words.even ^ layout.flipped[0], words.odd ^ layout.flipped[1]};
      if (layout.boolean) {
        words = {canonical_bools(words.even), canonical_bools(words.odd)};
      }
    }
    __syncwarp();
  }
}

}  // namespace mmhash::cuda
