// Enough of CUDA to run a kernel's source on the CPU, where CI has no GPU: the lanes of a block are
// coroutines that take turns, each up to where the lanes of its warp exchange values. Blocks run one after
// the other.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#define __device__
#define __global__
#define __constant__ static const
#define __shared__ static
#define __noinline__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct ulonglong2 {
  unsigned long long x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
  return {x, y, z, w};
}

namespace cuda_on_host {

struct Index {
  unsigned x;
};
inline Index thread_index, block_index, block_size, grid_size;
alignas(16) inline unsigned char dynamic_shared[64 << 10];

struct Lane {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(64 << 10);
  unsigned turn = 0, barriers = 0;
  bool done = false;
};
inline std::vector<Lane> lanes;
inline ucontext_t scheduler;
// What each lane gives at an exchange. Two sets in turns: a lane may already give its next value while others
// have not yet read this one.
inline std::vector<std::uint64_t> given[2];
inline std::size_t at_barrier;  // how often lanes of this block have come to a barrier
inline void (*body)();

inline void run_lane() {
  body();
  lanes[thread_index.x].done = true;
}

inline std::uint64_t exchange(std::uint64_t value, unsigned from) {
  const unsigned self = thread_index.x;
  Lane& lane = lanes[self];
  lane.turn ^= 1;
  given[lane.turn][self] = value;
  swapcontext(&lane.context, &scheduler);  // back when all the other lanes were here
  return given[lane.turn][self / 32 * 32 + from % 32];
}

template <typename Kernel>
void launch(unsigned blocks, unsigned threads, const Kernel& kernel) {
  static const Kernel* current;
  current = &kernel;
  body = [] { (*current)(); };
  block_size.x = threads;
  grid_size.x = blocks;
  lanes.resize(threads);
  given[0].resize(threads);
  given[1].resize(threads);
  for (block_index.x = 0; block_index.x < blocks; ++block_index.x) {
    for (Lane& lane : lanes) {
      getcontext(&lane.context);
      lane.context.uc_stack.ss_sp = lane.stack.data();
      lane.context.uc_stack.ss_size = lane.stack.size();
      lane.context.uc_link = &scheduler;
      lane.done = false;
      lane.barriers = 0;
      makecontext(&lane.context, run_lane, 0);
    }
    at_barrier = 0;
    for (bool running = true; running;) {
      running = false;
      for (thread_index.x = 0; thread_index.x < threads; ++thread_index.x) {
        if (!lanes[thread_index.x].done) {
          swapcontext(&scheduler, &lanes[thread_index.x].context);
          running = true;
        }
      }
    }
  }
}

}  // namespace cuda_on_host

#define threadIdx cuda_on_host::thread_index
#define blockIdx cuda_on_host::block_index
#define blockDim cuda_on_host::block_size
#define gridDim cuda_on_host::grid_size

inline void __syncwarp() {
  cuda_on_host::exchange(0, 0);
}
inline void __syncthreads() {
  using namespace cuda_on_host;
  const unsigned self = thread_index.x;
  ++lanes[self].barriers;
  ++at_barrier;
  while (at_barrier < lanes[self].barriers * lanes.size()) {
    swapcontext(&lanes[self].context, &scheduler);
  }
}

template <typename T>
T __shfl_sync(unsigned, T value, int from) {
  return static_cast<T>(cuda_on_host::exchange(value, static_cast<unsigned>(from)));
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, int across) {
  return static_cast<T>(cuda_on_host::exchange(value, threadIdx.x ^ static_cast<unsigned>(across)));
}
template <typename T>
T __ldg(const T* address) {
  return *address;
}
template <typename T>
T __ldcg(const T* address) {
  return *address;
}
inline unsigned atomicAdd(unsigned* address, unsigned value) {
  const unsigned before = *address;
  *address += value;
  return before;
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
