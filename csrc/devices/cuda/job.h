// What the host tells a kernel. Included by launch.cpp and by the kernel's source, which NVRTC compiles
// without any header: plain types only.
#pragma once

namespace mmhash::cuda {

inline constexpr unsigned kLeafBytes = 8192;        // docs/SPEC.md
inline constexpr unsigned kFanIn = 512;             // digests in a leaf of the next level
inline constexpr unsigned kWarpsPerBlock = 4;       // at most; shared memory is laid out for as many
inline constexpr unsigned kBlocksPerProcessor = 3;  // at the same time: why, see the end of leaves.cu
inline constexpr int kMaxStridedDims = 64;          // after merging; what has more is copied to the host

struct Job {
  const unsigned char* data;
  unsigned long long size;  // of the payload in bytes, not 0; up to kLeafBytes it takes one block of one warp
  unsigned rounds;          // leaves that a warp hashes; with those of its block they divide kFanIn
  // Scratch on the device: the digests of every level, one level after the other, and for every group of
  // digests how many have arrived: all zero before and after each launch.
  unsigned char* digests;
  unsigned int* arrived;
  // Pinned host memory as the device addresses it: the folded payload, at most kLeafBytes of it, and where
  // `ticket` is written when it is all there.
  unsigned char* result;
  unsigned int* ready;
  unsigned int ticket;
};

// How the elements of a strided payload lie: `data` is the address of the first one.
struct Strided {
  int ndim;       // at least 1, outermost first
  unsigned unit;  // bytes that are copied as one: 1, 2, 4, 8 or 16
  bool negate;    // each unit is an integer, whose two's complement is meant
  bool boolean;   // each byte is a bool: 1 is meant by all but 0
  unsigned long long
      flipped[2];  // bits to flip in every 16 bytes: the signs of lazy negation and conjugation
  unsigned long long shape[kMaxStridedDims];  // in units
  long long strides[kMaxStridedDims];         // in bytes
};

}  // namespace mmhash::cuda
