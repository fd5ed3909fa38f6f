// What the host tells a kernel, of whichever algorithm. Included by the host and by the kernels' sources,
// which NVRTC compiles without any header: plain types only.
#pragma once

namespace mmhash::cuda {

inline constexpr unsigned kLeafBytes = 8192;  // docs/SPEC.md; a payload up to it stands in its frame as it is
inline constexpr int kMaxStridedDims = 64;    // after merging; what has more is copied to the host

struct Job {
  const unsigned char* data;
  unsigned long long size;  // of the payload in bytes, not 0; up to kLeafBytes it takes one block of one warp
  unsigned rounds;          // what a warp of XXH3 or a thread of BLAKE3 hashes: so many leaves or chunks
  // Scratch on the device: the digests of every level, one level after the other, and for every group of
  // digests how many have arrived: all zero before and after each launch.
  unsigned char* digests;
  unsigned int* arrived;
  // Pinned host memory as the device addresses it: the folded payload, or what the host makes it of, at most
  // kLeafBytes, and where `ticket` is written when it is all there.
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
