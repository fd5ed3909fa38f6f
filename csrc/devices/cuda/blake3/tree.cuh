// The nodes of BLAKE3's tree that a block holds in its shared memory, and how it reduces them.
#pragma once

#include "devices/cuda/blake3/compress.h"
#include "devices/cuda/blake3/job.h"
#include "devices/cuda/words.cuh"

namespace mmhash::cuda::blake3 {

constexpr u32 kTreeBytes = kFan * kNodeBytes;

// Half of a node, 16 bytes. Of every other four nodes the halves are swapped, so that lanes that read the
// first halves of neighbours find them in different banks.
__device__ __forceinline__ uint4& half_of(u8* nodes, u32 node, u32 half) {
  return *reinterpret_cast<uint4*>(nodes + kNodeBytes * node + 16 * (half ^ (node >> 2 & 1)));
}

__device__ __forceinline__ void put(u32 (&words)[16], u32 at, const uint4& four) {
  words[at] = four.x, words[at + 1] = four.y, words[at + 2] = four.z, words[at + 3] = four.w;
}

__device__ __forceinline__ void store_node(u8* nodes, u32 node, const u32 (&cv)[8]) {
  half_of(nodes, node, 0) = make_uint4(cv[0], cv[1], cv[2], cv[3]);
  half_of(nodes, node, 1) = make_uint4(cv[4], cv[5], cv[6], cv[7]);
}

// Reduces 1 to kFan nodes in the block's shared memory, which are there for all its threads, to at most
// `stop`, which are there for all afterwards, and returns how many. A node without a neighbour goes up as it
// is. Never to the root, whose compression has a flag more: at least two nodes are left of all.
//
// From 64 nodes on one warp goes on alone and hands the nodes from level to level in registers.
__device__ __forceinline__ u32 reduce(const KeyedJob& keyed, u8* nodes, u32 count, u32 stop) {
  const u32 thread = threadIdx.x;
  u32 cv[8];
  bool held = false;  // the level is in the registers of the first warp: node i in lane i
#pragma unroll 1
  while (count > stop) {
    const bool wide = count > 64;
    const u32 pairs = count / 2, above = (count + 1) / 2;
    if (wide || thread < 32) {
#pragma unroll 1
      for (u32 first = 0; first < above; first += kThreads) {  // writes nothing that a later turn reads
        const u32 node = first + thread;
        u32 m[16];
        if (held) {
#pragma unroll
          for (u32 i = 0; i < 8; ++i) {
            m[i] = __shfl_sync(kAllLanes, cv[i], static_cast<int>(2 * thread));
            m[8 + i] = __shfl_sync(kAllLanes, cv[i], static_cast<int>(2 * thread + 1));
          }
        } else if (node < above) {
          put(m, 0, half_of(nodes, 2 * node, 0)), put(m, 4, half_of(nodes, 2 * node, 1));
          if (node < pairs) {
            put(m, 8, half_of(nodes, 2 * node + 1, 0)), put(m, 12, half_of(nodes, 2 * node + 1, 1));
          }
        }
        if (wide) {
          __syncthreads();
        }
        if (node < pairs) {
#pragma unroll
          for (u32 i = 0; i < 8; ++i) {
            cv[i] = keyed.key[i];
          }
          compress(cv, m, 0, 0, 64, keyed.flags | kParent, keyed.one);
        } else {
#pragma unroll
          for (u32 i = 0; i < 8; ++i) {
            cv[i] = m[i];
          }
        }
        if (wide && node < above) {
          store_node(nodes, node, cv);
        }
      }
      if (wide) {
        __syncthreads();
      }
      held = !wide;
    }
    count = above;
  }
  if (held) {
    __syncwarp();  // all have read the level that was in shared memory
    if (thread < count) {
      store_node(nodes, thread, cv);
    }
  }
  __syncthreads();
  return count;
}

}  // namespace mmhash::cuda::blake3
