// tree(payload) of docs/SPEC.md in one launch: every warp hashes leaves, and the block that is the last to
// arrive at a group of 512 digests hashes that group, up to the level that is handed to the host.
//
// One launch, because a second one costs the host 2 us and the GPU a pause, and nothing has to wait: a block
// sees by its group's counter whether it is the last one, and is done if not. The counters are zero again
// when the launch is over, so that nothing needs to be cleared between launches. A block arrives once, for
// all of its leaves: arriving takes 2 us, in which its warps load nothing, and arrivals at one group queue
// up. (537 MB on an H100: 228 us with one arrival a leaf, 175 us with none at all.)
#include "devices/cuda/gather.cuh"
#include "devices/cuda/handover.cuh"
#include "devices/cuda/job.h"
#include "devices/cuda/sources.cuh"
#include "devices/cuda/xxh3/grid.h"
#include "devices/cuda/xxh3/leaf.cuh"
#include "devices/cuda/xxh3/staged.cuh"

namespace mmhash::cuda {

// In canonical order: big-endian, the high half first.
__device__ inline void store(u8* digest, u64 half, u32 lane) {
  if (lane == 0 || lane == 4) {
    reinterpret_cast<u64*>(digest)[lane == 0 ? 1 : 0] = swapped64(half);
  }
}

// `arriving` digests from `index` on have been stored, all of one group: goes on with every group that they
// complete. By one warp.
__device__ __noinline__ void climb(const Job& job, u64 index, u32 arriving, u8* staged, u32 lane) {
  u8* level = job.digests;
  u32* arrived = job.arrived;
  u64 count = (job.size + kLeafBytes - 1) / kLeafBytes;
#pragma unroll 1
  for (;;) {
    const u64 groups = (count + kFanIn - 1) / kFanIn;
    const u64 group = index / kFanIn;
    const u64 rest = count - group * kFanIn;
    const u32 members = rest < kFanIn ? static_cast<u32>(rest) : kFanIn;
    u32 before = 0;
    if (lane == 0) {
      fence();  // the digests are there before they are counted ...
      before = atomicAdd(arrived + group, arriving);
      fence();  // ... and the others' are read after they were
    }
    if (__shfl_sync(kAllLanes, before, 0) + arriving < members) {
      return;
    }
    if (lane == 0) {
      arrived[group] = 0;
    }
    stage(Written{level + group * kLeafBytes}, 16 * members, staged, lane);
    if (groups == 1) {
      return publish(job, staged, 16 * members, lane);
    }
    const u64 half = hash_staged(staged, 16 * members, lane);
    level += 16 * count;
    arrived += groups;
    store(level + 16 * group, half, lane);
    __syncwarp();
    index = group;
    count = groups;
    arriving = 1;
  }
}

// The block's leaves: `job.rounds` for each of its warps, next to each other in each round. hash_leaf(leaf,
// size) gives the digest of one.
template <class HashLeaf>
__device__ inline void hash_leaves(const Job& job, u8* staged, u32 lane, const HashLeaf& hash_leaf) {
  const u32 warps = blockDim.x / 32, warp = threadIdx.x / 32;
  const u64 count = (job.size + kLeafBytes - 1) / kLeafBytes;
  const u64 first = static_cast<u64>(blockIdx.x) * warps * job.rounds;
#pragma unroll 1
  for (u32 round = 0; round < job.rounds; ++round) {
    const u64 leaf = first + round * warps + warp;
    if (leaf < count) {
      const u64 left = job.size - leaf * kLeafBytes;
      const u64 half = hash_leaf(leaf, left < kLeafBytes ? static_cast<u32>(left) : kLeafBytes);
      store(job.digests + 16 * leaf, half, lane);
    }
  }
  __syncthreads();
  if (warp == 0) {
    const u64 own = count - first;
    climb(job, first, own < warps * job.rounds ? static_cast<u32>(own) : warps * job.rounds, staged, lane);
  }
}

template <class Source>
__device__ inline void contiguous(const Job& job) {
  // Of the warp with the last leaf, then of the one that climbs. A last leaf of less than a word has its own:
  // then the leaf before it may be staged too, as an unaligned source reads behind it.
  alignas(16) __shared__ u8 staged[kLeafBytes];
  alignas(16) __shared__ u8 staged_word[16];
  const u32 lane = threadIdx.x % 32;
  if (job.size <= kLeafBytes) {
    const u32 size = static_cast<u32>(job.size);
    stage(Source{job.data}, size, staged, lane);
    return publish(job, staged, size, lane);
  }
  hash_leaves(job, staged, lane, [&](u64 leaf, u32 size) {
    const Source source{job.data + leaf * kLeafBytes};
    if (size == kLeafBytes && leaf * kLeafBytes + size + source.behind() <= job.size) {
      return hash_whole(source, lane);
    }
    u8* bytes = size < sizeof staged_word ? staged_word : staged;
    stage(source, size, bytes, lane);
    return hash_staged(bytes, size, lane);
  });
}

__device__ inline void strided(const Job& job, const Strided& layout) {
  alignas(16) __shared__ u8 leaves[kWarpsPerBlock][kLeafBytes];
  __shared__ Place places[kWarpsPerBlock];
  const u32 lane = threadIdx.x % 32;
  u8* staged = leaves[threadIdx.x / 32];
  Place& place = places[threadIdx.x / 32];
  if (job.size <= kLeafBytes) {
    const u32 size = static_cast<u32>(job.size);
    find_place(layout, 0, place, lane);
    gather<4>(job.data, layout, place, Stretch{size}, size, staged, lane);
    return publish(job, staged, size, lane);
  }
  hash_leaves(job, staged, lane, [&](u64 leaf, u32 size) {
    find_place(layout, leaf * kLeafBytes / layout.unit, place, lane);
    gather<4>(job.data, layout, place, Stretch{size}, size, staged, lane);
    return hash_staged(staged, size, lane);
  });
}

}  // namespace mmhash::cuda

// By name for cuModuleGetFunction; compiled one at a time (compile.h says why), all of them for the tests.
//
// Three blocks on a multiprocessor leave 168 registers a thread: the loads of a leaf take 64, its sums 32.
// With four and 128 registers 537 MB take 213 us instead of 197 on the same H100, with more they spill. The
// warps that then run have 12 KiB and more in flight on each multiprocessor at any time, and memory needs no
// more: reading a leaf ahead in registers changed nothing.
constexpr int kThreads = 32 * mmhash::cuda::kWarpsPerBlock;
constexpr int kBlocks = mmhash::cuda::kBlocksPerProcessor;

#if defined(MMHASH_KERNEL_aligned) || defined(MMHASH_KERNEL_all)
extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    mmhash_xxh3_aligned(const mmhash::cuda::Job job) {
  mmhash::cuda::contiguous<mmhash::cuda::Aligned>(job);
}
#endif

#if defined(MMHASH_KERNEL_unaligned) || defined(MMHASH_KERNEL_all)
extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    mmhash_xxh3_unaligned(const mmhash::cuda::Job job) {
  mmhash::cuda::contiguous<mmhash::cuda::Unaligned>(job);
}
#endif

#if defined(MMHASH_KERNEL_bools) || defined(MMHASH_KERNEL_all)
extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    mmhash_xxh3_bools(const mmhash::cuda::Job job) {
  mmhash::cuda::contiguous<mmhash::cuda::Bools>(job);
}
#endif

#if defined(MMHASH_KERNEL_strided) || defined(MMHASH_KERNEL_all)
extern "C" __global__ void __launch_bounds__(kThreads, kBlocks)
    mmhash_xxh3_strided(const mmhash::cuda::Job job, const mmhash::cuda::Strided layout) {
  mmhash::cuda::strided(job, layout);
}
#endif
