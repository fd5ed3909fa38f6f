// How a warp brings the chunks that its lanes hash into shared memory: in eight steps, each of 128 bytes of
// all 32 chunks, so that what is read at once lies side by side in memory, and what a lane hashes in its own
// row.
//
// A loader's step(i) is called for 0, 1, 2 and so on by all lanes; afterwards the step's row of each lane is
// there until the next call. Behind the payload's end the rows hold zeros. Rows are 144 bytes apart, so that
// eight lanes that read or write 16 bytes each, in a column as in a row, use all banks.
#pragma once

#include "devices/cuda/blake3/job.h"
#include "devices/cuda/gather.cuh"
#include "devices/cuda/job.h"
#include "devices/cuda/sources.cuh"
#include "devices/cuda/words.cuh"

namespace mmhash::cuda::blake3 {

constexpr u32 kRowBytes = 128, kSteps = kChunkBytes / kRowBytes;
constexpr u32 kPitch = kRowBytes + 16, kStageBytes = 32 * kPitch;
constexpr u32 kWarps = kThreads / 32;

// Chunks of a warp lie side by side, those of its next round behind those of the block.
__device__ __forceinline__ u64 first_chunk(const Job& job, u32 round) {
  return (static_cast<u64>(blockIdx.x) * job.rounds + round) * kThreads + threadIdx.x / 32 * 32;
}

// Where a lane reads and writes contiguous memory: 16 bytes of each fourth row. Eight lanes share a row.
struct Lane {
  u64 at;      // in the payload, of the first of the lane's eight words
  bool whole;  // all the warp's words can be read, and `behind` bytes after each

  __device__ __forceinline__ void go_to(const Job& job, u32 step, u32 behind) {
    if (step % kSteps == 0) {
      const u64 first = first_chunk(job, step / kSteps);
      const u32 lane = threadIdx.x % 32;
      whole = (first + 32) * kChunkBytes + behind <= job.size;
      at = (first + lane / 8) * kChunkBytes + lane % 8 * 16;
    } else {
      at += kRowBytes;
    }
  }
  static __device__ __forceinline__ u32 offset() {
    const u32 lane = threadIdx.x % 32;
    return lane / 8 * kPitch + lane % 8 * 16;
  }
};

// The word at `at` of a payload of `size` bytes, and zeros for what is behind its end. (What is not inlined
// gets no reference to a kernel's parameters, which would have to be copied to be referred to.)
template <class Source>
__device__ __noinline__ Pair load_end(const u8* data, u64 size, u64 at) {
  if (at >= size) {
    return {0, 0};
  }
  const Source source{data + at};
  if (at + 16 + source.behind() <= size) {
    return source(0);
  }
  Pair word{0, 0};
#pragma unroll 1
  for (u32 i = static_cast<u32>(size - at < 16 ? size - at : 16); i-- > 0;) {
    word.odd = word.odd << 8 | word.even >> 56;
    word.even = word.even << 8 | source.byte(i);
  }
  return word;
}

// Any contiguous memory: the next step's words wait in registers while this one's are hashed.
template <class Source>
class ThroughRegisters {
 public:
  static constexpr u32 kStages = 1;

  __device__ __forceinline__ ThroughRegisters(const Job& job, u8* stage) : job_(job), stage_(stage) {
    fetch(0);
  }

  __device__ __forceinline__ void step(u32 step) {
    __syncwarp();  // all lanes have read their rows
#pragma unroll
    for (u32 k = 0; k < 8; ++k) {
      *reinterpret_cast<Pair*>(stage_ + Lane::offset() + 4 * kPitch * k) = next_[k];
    }
    __syncwarp();
    if (step + 1 < kSteps * job_.rounds) {
      fetch(step + 1);
    }
  }

  __device__ __forceinline__ const u8* row(u32) const { return stage_ + threadIdx.x % 32 * kPitch; }

 private:
  __device__ __forceinline__ void fetch(u32 step) {
    lane_.go_to(job_, step, Source{job_.data}.behind());
    if (lane_.whole) {
      const Source source{job_.data + lane_.at};
#pragma unroll
      for (u32 k = 0; k < 8; ++k) {
        next_[k] = source(4 * kChunkBytes * k);
      }
    } else {
#pragma unroll
      for (u32 k = 0; k < 8; ++k) {
        next_[k] = load_end<Source>(job_.data, job_.size, lane_.at + 4 * kChunkBytes * k);
      }
    }
  }

  const Job& job_;
  u8* stage_;
  Lane lane_;
  Pair next_[8];
};

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

#ifdef __CUDA_ARCH__
__device__ __forceinline__ void copy_async(u8* to, const u8* from) {
  const u32 address = static_cast<u32>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
}
// `bytes` of them, and zeros up to 16.
__device__ __forceinline__ void copy_async(u8* to, const u8* from, u32 bytes) {
  const u32 address = static_cast<u32>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// All groups but the last have arrived.
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group 1;" ::: "memory");
}
#else
__device__ inline void copy_async(u8* to, const u8* from, u32 bytes = 16) {
  for (u32 i = 0; i < 16; ++i) {
    to[i] = i < bytes ? from[i] : u8{0};
  }
}
__device__ inline void commit_copies() {}
__device__ inline void wait_for_copies() {}
#endif

// Aligned memory: the next step's words go from memory to shared memory by themselves (cp.async), and
// registers are free for more warps.
class Asynchronous {
 public:
  static constexpr u32 kStages = 2;

  __device__ __forceinline__ Asynchronous(const Job& job, u8* stages) : job_(job), stages_(stages) {
    fetch(0);
    commit_copies();
  }

  __device__ __forceinline__ void step(u32 step) {
    __syncwarp();  // all lanes have read the rows of the step before, which the next one overwrites
    if (step + 1 < kSteps * job_.rounds) {
      fetch(step + 1);
    }
    commit_copies();
    wait_for_copies();
    __syncwarp();
  }

  __device__ __forceinline__ const u8* row(u32 step) const {
    return stages_ + step % 2 * kStageBytes + threadIdx.x % 32 * kPitch;
  }

 private:
  __device__ __forceinline__ void fetch(u32 step) {
    lane_.go_to(job_, step, 0);
    u8* to = stages_ + step % 2 * kStageBytes + Lane::offset();
    const u8* from = job_.data + lane_.at;
    if (lane_.whole) {
#pragma unroll
      for (u32 k = 0; k < 8; ++k) {
        copy_async(to + 4 * kPitch * k, from + 4 * kChunkBytes * k);
      }
    } else {
#pragma unroll 1
      for (u32 k = 0; k < 8; ++k) {
        const u64 at = lane_.at + 4 * kChunkBytes * k;
        const u32 bytes = at >= job_.size ? 0 : job_.size - at < 16 ? static_cast<u32>(job_.size - at) : 16;
        copy_async(to + 4 * kPitch * k, bytes == 0 ? job_.data : job_.data + at, bytes);
      }
    }
  }

  const Job& job_;
  u8* stages_;
  Lane lane_;
};

using FromAligned = Asynchronous;
#else
using FromAligned = ThroughRegisters<Aligned>;
#endif

// A form (gather.cuh) of rows of 128 bytes, which lie `apart` in the payload and `pitch` in shared memory.
struct Rows {
  u32 end;    // bytes in all
  u32 first;  // offset of the first row's first byte
  u32 apart, pitch;
  __device__ u32 from(u32 at) const { return at / kRowBytes * apart + first + at % kRowBytes; }
  __device__ u32 to(u32 at) const { return at / kRowBytes * pitch + at % kRowBytes; }
};

// What the lanes of a warp gather by, in shared memory: the layout, whose copy as a parameter is not to be
// referred to by what is not inlined, and the warp's place in it.
struct Gathering {
  const u8* data;
  const Strided& layout;
  Place& place;
};

// Zeros where rows are behind `size`. One function for all: units of five sizes make much code.
__device__ __noinline__ void gather_rows(Gathering from, Rows rows, u32 size, u8* out, u32 lane) {
  gather<4>(from.data, from.layout, from.place, rows, size, out, lane);
  if (rows.from(rows.end - 1) >= size) {
#pragma unroll 1
    for (u32 at = lane; at < rows.end; at += 32) {
      if (rows.from(at) >= size) {
        out[rows.to(at)] = 0;
      }
    }
    __syncwarp();
  }
}

// Strided memory, one step after the other: what gathering takes is hidden by other warps.
class Gathered {
 public:
  static constexpr u32 kStages = 1;

  __device__ __forceinline__ Gathered(const Job& job, const Gathering& from, u8* stage)
      : job_(job), from_(from), stage_(stage) {}

  __device__ __forceinline__ void step(u32 step) {
    const u32 lane = threadIdx.x % 32;
    if (step % kSteps == 0) {
      const u64 begin = first_chunk(job_, step / kSteps) * kChunkBytes;
      const u64 left = begin < job_.size ? job_.size - begin : 0;
      size_ = left < 32 * kChunkBytes ? static_cast<u32>(left) : 32 * kChunkBytes;
      if (size_ > 0) {
        find_place(from_.layout, begin / from_.layout.unit, from_.place, lane);
      }
    }
    __syncwarp();  // all lanes have read their rows
    const Rows rows{32 * kRowBytes, step % kSteps * kRowBytes, kChunkBytes, kPitch};
    gather_rows(from_, rows, size_, stage_, lane);
  }

  __device__ __forceinline__ const u8* row(u32) const { return stage_ + threadIdx.x % 32 * kPitch; }

 private:
  const Job& job_;
  Gathering from_;
  u8* stage_;
  u32 size_ = 0;  // of the payload, in the warp's chunks
};

static_assert(32 * kChunkBytes <= kMaxSteps);

}  // namespace mmhash::cuda::blake3
