// An algorithm that hashes nothing, to see what the encoder of csrc/identity/frame.h has hashed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "identity/algorithm.h"
#include "identity/tree.h"

namespace mmhash {

// What stands for H(p) of a long payload, where an algorithm has digests of 32 bytes.
inline constexpr std::uint8_t kFakeDigest = 0xd1;

// An algorithm that keeps the last frame that it was given to hash.
class Recorder final : public Algorithm {
 public:
  explicit Recorder(std::size_t its_digest_bytes)
      : Algorithm("recorder", its_digest_bytes, kJoinBytes, false, ~std::uint64_t{0}) {}

  Digest hash(const void* data, std::size_t size) const override { return hash(nullptr, 0, data, size); }
  Digest hash(const void* head, std::size_t head_size, const void* data, std::size_t size) const override {
    frame_.clear();
    append(head, head_size);
    append(data, size);
    return {};
  }
  std::size_t fold(const Payload& payload, std::byte* out) const override {
    if (digest_bytes == xxh3().digest_bytes || payload.size() <= kLeafBytes) {
      return xxh3().fold(payload, out);
    }
    std::memset(out, kFakeDigest, digest_bytes);
    return digest_bytes;
  }
  std::unique_ptr<Fold> start_fold(std::size_t expected) const override {
    return xxh3().start_fold(expected);
  }

  const std::vector<std::uint8_t>& frame() const { return frame_; }

 private:
  static constexpr std::size_t kJoinBytes = 3072;

  void append(const void* data, std::size_t size) const {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    frame_.insert(frame_.end(), bytes, bytes + size);
  }

  mutable std::vector<std::uint8_t> frame_;
};

}  // namespace mmhash
