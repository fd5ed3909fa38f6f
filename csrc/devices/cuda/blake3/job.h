// What the host tells the BLAKE3 kernels, and how chunks are dealt to blocks: one chunk a thread and round.
// Included by the host and by the kernels' source: plain types only.
#pragma once

#include "devices/cuda/job.h"

namespace mmhash::cuda::blake3 {

inline constexpr unsigned kChunkBytes = 1024, kNodeBytes = 32;
inline constexpr unsigned kThreads = 128;  // of a block
inline constexpr unsigned kMaxRounds = 4;
// A block reduces at once what it has hashed, or as many nodes of others. A power of two, as is what a block
// hashes: so each group is a complete subtree, but for the last one.
inline constexpr unsigned kFan = kThreads * kMaxRounds;
// With so many nodes the last block stops and leaves the rest to the host, for which a compression takes 0.1
// us: a level takes the GPU 0.7.
inline constexpr unsigned kTop = 8;

struct KeyedJob {
  Job job;
  unsigned key[8];  // BLAKE3's IV where there is no key
  unsigned flags;   // of every compression: kKeyed or 0
  unsigned one;     // 1, which the compiler must not know: see plus() in compress.h
};

}  // namespace mmhash::cuda::blake3
