// Identity v1's tree: a payload of any length, folded into at most 8 KiB (docs/SPEC.md, "Notation").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "algorithms/xxh3/kernel.h"
#include "identity/layout.h"
#include "identity/thread_pool.h"

namespace mmhash {

using Digest = std::array<std::uint8_t, 16>;  // XXH3-128, big-endian

inline constexpr std::size_t kLeafBytes = MMHASH_LEAF_BYTES;

// From this many bytes of payload on, one call is split over the thread pool. Measured: see the note in
// tree.cpp.
inline constexpr std::size_t kParallelBytes = std::size_t{4} << 20;

// H(bytes).
Digest xxh3_128(const void* data, std::size_t size);

// H(head + data).
Digest xxh3_128(const void* head, std::size_t head_size, const void* data, std::size_t size);

// Writes tree(payload) to `out` (room for kLeafBytes) and returns its length. Reads the payload once, by
// leaves, in place where it is contiguous and otherwise through at most 64 KiB of scratch a thread.
// Needs size/512 bytes of memory for the digests of a level. Throws std::bad_alloc; no Python, no GIL.
std::size_t fold(const Payload& payload, std::byte* out);

// The same fold for a payload that arrives in pieces of any length, in order.
class Fold {
 public:
  explicit Fold(std::size_t expected) : expected_(expected) {}
  // Throws std::length_error if the pieces exceed the expected size.
  void update(const void* data, std::size_t size);
  // The next part of a payload of the expected size, in place of pieces: as much as fits before the deadline,
  // at least one task, at most 1 GiB. True once all is read. For payloads of more than a leaf.
  bool read(const Payload& payload, Deadline deadline);
  // Call once, after the last piece. Throws std::length_error if bytes are missing.
  std::size_t finish(std::byte* out);

 private:
  std::size_t expected_;
  std::size_t total_ = 0;
  std::size_t pending_ = 0;  // bytes in partial_: the beginning of a leaf, or all of a short payload
  std::array<std::byte, kLeafBytes> partial_;
  std::vector<Digest> digests_;
};

}  // namespace mmhash
