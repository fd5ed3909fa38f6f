// BLAKE3 of a payload in one launch: every thread hashes chunks of 1 KiB, every block reduces its chunks to
// one node, and the block that is the last to arrive at a group of 512 nodes reduces that group, up to the
// level that is handed to the host (method.cpp: nodes_left). Counters and arrivals are as in xxh3/leaves.cu,
// which says why.
//
// A thread a chunk, since a chunk is 16 compressions one after the other, and a compression four chains of
// instructions side by side: no other way of sharing them out needs fewer instructions, and they are what
// limits it (compress.h). The floor for a small payload is thus 16 compressions and the levels of the tree:
// 24 us for 15.6 MB on an H100.
#include "devices/cuda/blake3/compress.h"
#include "devices/cuda/blake3/job.h"
#include "devices/cuda/blake3/load.cuh"
#include "devices/cuda/blake3/tree.cuh"
#include "devices/cuda/gather.cuh"
#include "devices/cuda/handover.cuh"
#include "devices/cuda/sources.cuh"

namespace mmhash::cuda::blake3 {

// The block's chunks become nodes in its shared memory; returns how many.
template <class Loader>
__device__ __forceinline__ u32 hash_chunks(const KeyedJob& keyed, Loader& loader, u8* nodes) {
  const Job& job = keyed.job;
  const u64 first = static_cast<u64>(blockIdx.x) * job.rounds * kThreads;
  const u64 left = (job.size + kChunkBytes - 1) / kChunkBytes - first;
  const u32 count = left < kThreads * job.rounds ? static_cast<u32>(left) : kThreads * job.rounds;
  u32 cv[8];
  u32 index = 0, bytes = 0, blocks = 0;  // of this round's chunk: its place in the block, its size
#pragma unroll 1
  for (u32 i = 0; i < 16 * job.rounds; ++i) {  // blocks of 64 bytes, of all rounds
    const u32 block = i % 16;
    if (block % 2 == 0) {
      loader.step(i / 2);
    }
    const u8* from = loader.row(i / 2) + block % 2 * 64;
    u32 m[16];
#pragma unroll
    for (u32 k = 0; k < 4; ++k) {
      put(m, 4 * k, *reinterpret_cast<const uint4*>(from + 16 * k));
    }
    if (block == 0) {
#pragma unroll
      for (u32 k = 0; k < 8; ++k) {
        cv[k] = keyed.key[k];
      }
      index = i / 16 * kThreads + threadIdx.x;
      bytes = 0;
      if (index < count) {
        const u64 rest = job.size - (first + index) * kChunkBytes;
        bytes = rest < kChunkBytes ? static_cast<u32>(rest) : kChunkBytes;
      }
      blocks = (bytes + 63) / 64;
    }
    if (block < blocks) {
      const bool last = block + 1 == blocks;
      const u32 flags = keyed.flags | (block == 0 ? kChunkStart : 0) | (last ? kChunkEnd : 0);
      compress(cv, m, static_cast<u32>(first) + index, static_cast<u32>(first >> 32),
               last ? bytes - 64 * block : 64, flags, keyed.one);
    }
    if (block == 15) {
      store_node(nodes, index, cv);
    }
  }
  __syncthreads();
  return count;
}

// The block's `count` nodes go up the tree, with every group that they complete.
__device__ __forceinline__ void climb(const KeyedJob& keyed, u8* nodes, u32 count, u32* shared_flag) {
  const Job& job = keyed.job;
  u8* level = job.digests;
  u32* arrived = job.arrived;
  u32 of_level = gridDim.x,
      index = blockIdx.x;  // nodes of the level that is being made, and which is this one
#pragma unroll 1
  for (;;) {
    const bool all = of_level == 1;
    const u32 left = reduce(keyed, nodes, count, all ? kTop : 1);
    if (all) {
      if (threadIdx.x < 32) {
        if (threadIdx.x < 2 * left) {
          reinterpret_cast<uint4*>(job.result)[threadIdx.x] =
              half_of(nodes, threadIdx.x / 2, threadIdx.x % 2);
        }
        announce(job, threadIdx.x);
      }
      return;
    }
    const u32 groups = (of_level + kFan - 1) / kFan, group = index / kFan;
    const u32 others = of_level - group * kFan;
    count = others < kFan ? others : kFan;
    if (threadIdx.x == 0) {
      auto* node = reinterpret_cast<uint4*>(level + static_cast<u64>(index) * kNodeBytes);
      node[0] = half_of(nodes, 0, 0);
      node[1] = half_of(nodes, 0, 1);
      fence();  // the node is there before it is counted ...
      const u32 before = atomicAdd(arrived + group, 1);
      fence();  // ... and the others' are read after they were
      *shared_flag = before + 1 == count;
      if (before + 1 == count) {
        arrived[group] = 0;
      }
    }
    __syncthreads();
    if (*shared_flag == 0) {
      return;
    }
    const auto* halves =
        reinterpret_cast<const ulonglong2*>(level + static_cast<u64>(group) * kFan * kNodeBytes);
    for (u32 i = threadIdx.x; i < 2 * count; i += kThreads) {
      *reinterpret_cast<Pair*>(&half_of(nodes, i / 2, i % 2)) = as_pair(__ldcg(halves + i));
    }
    __syncthreads();
    level += static_cast<u64>(of_level) * kNodeBytes;
    arrived += groups;
    index = group;
    of_level = groups;
  }
}

// The kernels' shared memory: the stages of all warps, the nodes, and what thread 0 tells the others.
template <class Loader>
constexpr u32 kSharedBytes = kWarps * Loader::kStages * kStageBytes + kTreeBytes + 16;

__device__ inline u8* shared_memory() {
#ifdef __CUDA_ARCH__
  extern __shared__ uint4 memory[];
  return reinterpret_cast<u8*>(memory);
#else
  return cuda_on_host::dynamic_shared;
#endif
}

// `make(stages)` makes the loader of a warp, whose stages begin there.
template <class Loader, class Make>
__device__ __forceinline__ void fold(const KeyedJob& keyed, const Make& make) {
  u8* stages = shared_memory();
  u8* nodes = stages + kWarps * Loader::kStages * kStageBytes;
  Loader loader = make(stages + threadIdx.x / 32 * Loader::kStages * kStageBytes);
  const u32 count = hash_chunks(keyed, loader, nodes);
  climb(keyed, nodes, count, reinterpret_cast<u32*>(nodes + kTreeBytes));
}

template <class Source, class Loader>
__device__ __forceinline__ void contiguous(const KeyedJob& keyed) {
  if (keyed.job.size <= kLeafBytes) {
    const u32 size = static_cast<u32>(keyed.job.size);
    stage(Source{keyed.job.data}, size, shared_memory(), threadIdx.x);
    return publish(keyed.job, shared_memory(), size, threadIdx.x);
  }
  fold<Loader>(keyed, [&](u8* stages) { return Loader(keyed.job, stages); });
}

__device__ __forceinline__ void strided(const KeyedJob& keyed, const Strided& parameter) {
  __shared__ Strided layout;
  __shared__ Place places[kWarps];
  static_assert(sizeof layout % 8 == 0);
  for (u32 i = threadIdx.x; i < sizeof layout / 8; i += blockDim.x) {
    reinterpret_cast<u64*>(&layout)[i] = reinterpret_cast<const u64*>(&parameter)[i];
  }
  __syncthreads();
  const Gathering from{keyed.job.data, layout, places[threadIdx.x / 32]};
  if (keyed.job.size <= kLeafBytes) {
    const u32 size = static_cast<u32>(keyed.job.size);
    find_place(layout, 0, from.place, threadIdx.x);
    gather_rows(from, {size, 0, kRowBytes, kRowBytes}, size, shared_memory(), threadIdx.x);
    return publish(keyed.job, shared_memory(), size, threadIdx.x);
  }
  fold<Gathered>(keyed, [&](u8* stages) { return Gathered(keyed.job, from, stages); });
}

}  // namespace mmhash::cuda::blake3

// By name for cuModuleGetFunction; compiled one at a time (compile.h says why), all of them for the tests.
//
// Four blocks on a multiprocessor: 16 warps, which is as many as the asynchronous kernel's shared memory
// allows.
#define MMHASH_BLAKE3_KERNEL(access) \
  extern "C" __global__ void __launch_bounds__(mmhash::cuda::blake3::kThreads, 4) mmhash_blake3_##access

#if defined(MMHASH_KERNEL_aligned) || defined(MMHASH_KERNEL_all)
MMHASH_BLAKE3_KERNEL(aligned)(const mmhash::cuda::blake3::KeyedJob keyed) {
  mmhash::cuda::blake3::contiguous<mmhash::cuda::Aligned, mmhash::cuda::blake3::FromAligned>(keyed);
}
#endif

#if defined(MMHASH_KERNEL_unaligned) || defined(MMHASH_KERNEL_all)
MMHASH_BLAKE3_KERNEL(unaligned)(const mmhash::cuda::blake3::KeyedJob keyed) {
  using mmhash::cuda::Unaligned;
  mmhash::cuda::blake3::contiguous<Unaligned, mmhash::cuda::blake3::ThroughRegisters<Unaligned>>(keyed);
}
#endif

#if defined(MMHASH_KERNEL_bools) || defined(MMHASH_KERNEL_all)
MMHASH_BLAKE3_KERNEL(bools)(const mmhash::cuda::blake3::KeyedJob keyed) {
  using mmhash::cuda::Bools;
  mmhash::cuda::blake3::contiguous<Bools, mmhash::cuda::blake3::ThroughRegisters<Bools>>(keyed);
}
#endif

#if defined(MMHASH_KERNEL_strided) || defined(MMHASH_KERNEL_all)
MMHASH_BLAKE3_KERNEL(strided)(const mmhash::cuda::blake3::KeyedJob keyed,
                              const mmhash::cuda::Strided layout) {
  mmhash::cuda::blake3::strided(keyed, layout);
}
#endif
