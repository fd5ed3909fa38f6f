// How XXH3 folds a payload of any length into at most 8 KiB: a hash tree of independent leaves (docs/SPEC.md,
// "Notation"). No Python here, no GIL.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "algorithms/xxh3/dispatch.h"
#include "identity/algorithm.h"

namespace mmhash {

// Of the frozen format; docs/SPEC.md says why 8 KiB. What is not longer stands in its frame as it is,
// whatever the algorithm.
inline constexpr std::size_t kLeafBytes = MMHASH_LEAF_BYTES;

// From this many bytes of payload on, one call is split over the thread pool. Measured: see the note in
// tree.cpp.
inline constexpr std::size_t kParallelBytes = std::size_t{4} << 20;

// Algorithm::fold. Needs size/512 bytes of memory for the digests of a level.
std::size_t fold_tree(const Payload& payload, std::byte* out);

// Algorithm::start_fold.
class TreeFold final : public Fold {
 public:
  explicit TreeFold(std::size_t expected) : expected_(expected) {}
  void update(const void* data, std::size_t size) override;
  std::size_t finish(std::byte* out) override;

 private:
  std::size_t expected_;
  std::size_t total_ = 0;
  std::size_t pending_ = 0;  // bytes in partial_: the beginning of a leaf, or all of a short payload
  std::array<std::byte, kLeafBytes> partial_;
  std::vector<Xxh3Digest> digests_;
};

}  // namespace mmhash
