// What a block brings into its shared memory at once, and what it hands to the host from there.
#pragma once

#include "devices/cuda/gather.cuh"
#include "devices/cuda/job.h"
#include "devices/cuda/sources.cuh"

namespace mmhash::cuda {

// Brings `size` bytes, at most a leaf, into the warp's shared memory.
template <class Source>
__device__ __noinline__ void stage(const Source& source, u32 size, u8* staged, u32 lane) {
  auto* words = reinterpret_cast<Pair*>(staged) + lane;
  const u32 behind = source.behind();
  const u32 whole = size > behind ? (size - behind) / 16 : 0;  // words that can be read with what is behind
  Pair loaded[16];
  __syncwarp();
#pragma unroll
  for (u32 k = 0; k < 16; ++k) {  // all loads first: one latency, not 16
    if (32 * k + lane < whole) {
      loaded[k] = source(512 * k + 16 * lane);
    }
  }
#pragma unroll
  for (u32 k = 0; k < 16; ++k) {
    if (32 * k + lane < whole) {
      words[32 * k] = loaded[k];
    }
  }
  const u32 at = 16 * whole + lane;
  if (at < size) {  // fewer bytes than lanes
    staged[at] = source.byte(at);
  }
  __syncwarp();
}

// Tells the host, which waits for the ticket, that all is there that this warp has written for it.
__device__ inline void announce(const Job& job, u32 lane) {
  fence_with_host();
  __syncwarp();
  if (lane == 0) {
    *static_cast<volatile u32*>(job.ready) = job.ticket;
  }
}

// Hands the folded payload to the host.
__device__ inline void publish(const Job& job, const u8* staged, u32 size, u32 lane) {
  const auto* words = reinterpret_cast<const Pair*>(staged);
#pragma unroll 4
  for (u32 i = lane; 16 * i < size; i += 32) {  // the last word may be longer than what it holds
    reinterpret_cast<Pair*>(job.result)[i] = words[i];
  }
  announce(job, lane);
}

}  // namespace mmhash::cuda
