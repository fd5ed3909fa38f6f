// tree(payload) of docs/SPEC.md in one launch: every warp hashes one leaf, and the warp that is the last to
// arrive at a group of 512 digests hashes that group, up to the level that is handed to the host.
//
// One launch, because a second one costs the host 2 us and the GPU a pause, and nothing has to wait: a warp
// sees by its group's counter whether it is the last one, and is done if not. The counters are zero again
// when the launch is over, so that nothing needs to be cleared between launches.
#include "gather.cuh"
#include "job.h"
#include "sources.cuh"
#include "staged.cuh"
#include "xxh3.cuh"

namespace mmhash::cuda {

// In canonical order: big-endian, the high half first.
__device__ inline void store(u8* digest, u64 half, u32 lane) {
  if (lane == 0 || lane == 4) {
    reinterpret_cast<u64*>(digest)[lane == 0 ? 1 : 0] = swapped64(half);
  }
}

// Hands the folded payload to the host, which waits for the ticket.
__device__ inline void publish(const Job& job, const u8* staged, u32 size, u32 lane) {
#pragma unroll 1
  for (u32 at = 16 * lane; at < size; at += 512) {  // the last word may be longer than what it holds
    *reinterpret_cast<ulonglong2*>(job.result + at) = *reinterpret_cast<const ulonglong2*>(staged + at);
  }
  __threadfence_system();
  __syncwarp();
  if (lane == 0) {
    *static_cast<volatile u32*>(job.ready) = job.ticket;
  }
}

// The digest of leaf `index` has been stored: goes on with every group that it completes.
__device__ __noinline__ void climb(const Job& job, u64 index, u8* staged, u32 lane) {
  u8* level = job.digests;
  u32* arrived = job.arrived;
  u64 count = (job.size + kLeafBytes - 1) / kLeafBytes;
#pragma unroll 1
  for (;;) {
    const u64 groups = (count + kFanIn - 1) / kFanIn;
    const u64 group = index / kFanIn;
    const u64 rest = count - group * kFanIn;
    const u32 members = rest < kFanIn ? static_cast<u32>(rest) : kFanIn;
    __threadfence();  // the digest is there before the warp is counted ...
    __syncwarp();
    u32 before = 0;
    if (lane == 0) {
      before = atomicAdd(arrived + group, 1u);
    }
    if (__shfl_sync(kAllLanes, before, 0) + 1 < members) {
      return;
    }
    __threadfence();  // ... and the others' are read after all of them were
    if (lane == 0) {
      arrived[group] = 0;
    }
    stage(level + group * kLeafBytes, 16 * members, staged, lane);
    if (groups == 1) {
      return publish(job, staged, 16 * members, lane);
    }
    const u64 half = hash_staged(staged, 16 * members, lane);
    level += 16 * count;
    arrived += groups;
    store(level + 16 * group, half, lane);
    index = group;
    count = groups;
  }
}

template <class Whole>
__device__ inline void contiguous(const Job& job) {
  alignas(16) __shared__ u8 shared[kWarpsPerBlock][kLeafBytes];
  const u32 lane = threadIdx.x % 32;
  u8* staged = shared[threadIdx.x / 32];
  const u64 leaf = static_cast<u64>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
  const u64 begin = leaf * kLeafBytes;
  if (begin >= job.size) {
    return;
  }
  u64 half = 0;
  if (job.size - begin >= kLeafBytes && job.size > kLeafBytes) {
    half = hash_whole(Whole{job.data + begin}, lane);
  } else {
    const u32 size = static_cast<u32>(job.size - begin);
    stage(job.data + begin, size, staged, lane);
    if (job.size <= kLeafBytes) {
      return publish(job, staged, size, lane);
    }
    half = hash_staged(staged, size, lane);
  }
  store(job.digests + 16 * leaf, half, lane);
  climb(job, leaf, staged, lane);
}

__device__ inline void strided(const Job& job, const Strided& layout) {
  alignas(16) __shared__ u8 shared[kWarpsPerBlock][kLeafBytes];
  __shared__ Place places[kWarpsPerBlock];
  const u32 lane = threadIdx.x % 32;
  u8* staged = shared[threadIdx.x / 32];
  const u64 leaf = static_cast<u64>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
  const u64 begin = leaf * kLeafBytes;
  if (begin >= job.size) {
    return;
  }
  const u32 size = job.size - begin < kLeafBytes ? static_cast<u32>(job.size - begin) : kLeafBytes;
  gather(job.data, layout, begin, size, places[threadIdx.x / 32], staged, lane);
  if (job.size <= kLeafBytes) {
    return publish(job, staged, size, lane);
  }
  store(job.digests + 16 * leaf, hash_staged(staged, size, lane), lane);
  climb(job, leaf, staged, lane);
}

}  // namespace mmhash::cuda

// By name for cuModuleGetFunction; compiled one at a time (compile.h says why), all of them for the tests.
// Four blocks on a multiprocessor leave 128 registers a thread, as many as the loads of a leaf (64), its sums
// and its keys take.
constexpr int kThreads = 32 * mmhash::cuda::kWarpsPerBlock;

#if defined(MMHASH_KERNEL_aligned) || defined(MMHASH_KERNEL_all)
extern "C" __global__ void __launch_bounds__(kThreads, 4) mmhash_aligned(const mmhash::cuda::Job job) {
  mmhash::cuda::contiguous<mmhash::cuda::Aligned>(job);
}
#endif

#if defined(MMHASH_KERNEL_unaligned) || defined(MMHASH_KERNEL_all)
extern "C" __global__ void __launch_bounds__(kThreads, 4) mmhash_unaligned(const mmhash::cuda::Job job) {
  mmhash::cuda::contiguous<mmhash::cuda::Unaligned<true>>(job);
}
#endif

#if defined(MMHASH_KERNEL_strided) || defined(MMHASH_KERNEL_all)
extern "C" __global__ void __launch_bounds__(kThreads, 4)
    mmhash_strided(const mmhash::cuda::Job job, const mmhash::cuda::Strided layout) {
  mmhash::cuda::strided(job, layout);
}
#endif
