// The room identity: what is hashed of a value, by whichever algorithm: dtypes, layout, frames, folds,
// threads. No Python and no GIL here, and of what lies below only algorithms/; whose memory it is and what
// kind of value belong above.
//
// What a hash algorithm must offer: the one seam that frames, payloads, the cache's keys, devices and Python
// share. To add one in C++: its code under algorithms/<name>/ and its class in algorithm.cpp; one of a Python
// package: a file in mmhash/algorithms/, behind packages/.
//
// An abstract class, and not a template, because the algorithm is chosen at run time, once for a whole value;
// the indirect call costs under 1 % of hashing 64 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "identity/digest.h"
#include "identity/layout.h"
#include "identity/thread_pool.h"

namespace mmhash {

// The fold of a payload that arrives in pieces of any length, in order.
class Fold {
 public:
  Fold() = default;
  Fold(const Fold&) = delete;
  Fold& operator=(const Fold&) = delete;
  virtual ~Fold() = default;
  // Throws std::length_error if the pieces exceed the expected size.
  virtual void update(const void* data, std::size_t size) = 0;
  // The next part of a payload of the expected size, in place of pieces: as much as fits before the deadline,
  // at least one task, at most 1 GiB. True once all is read. For payloads of more than kLeafBytes.
  virtual bool read(const Payload& payload, Deadline deadline) = 0;
  // Writes tree(payload), at most kLeafBytes, and returns its length. Call once, after the last piece. Throws
  // std::length_error if bytes are missing.
  virtual std::size_t finish(std::byte* out) = 0;
};

// An algorithm with its key, if it has one. Immutable: any thread may use it.
class Algorithm {
 public:
  Algorithm(const Algorithm&) = delete;
  Algorithm& operator=(const Algorithm&) = delete;
  virtual ~Algorithm() = default;

  // Its one name: in Python, in the environment, in info() and in reports.
  const std::string_view name;
  // Bytes of an identity: half of kMaxDigestBytes or all. A frame of parts holds as many of each.
  const std::size_t digest_bytes;
  // From this many bytes of payload on, hashing head and body beats copying the body behind its head.
  const std::size_t join_bytes;
  // Whether it calls Python: then all of it, and of its folds, is called with the GIL, and releases the GIL
  // itself while much is hashed. The others neither need nor touch it.
  const bool needs_gil;
  // Of no other algorithm and key in this process, ever: digests of equal serials may be exchanged.
  const std::uint64_t serial;

  // kKeyBytes, or null without a key.
  virtual const std::uint8_t* key() const { return nullptr; }

  // H(data), and H(head followed by data) without copying them together where that is slower.
  virtual Digest hash(const void* data, std::size_t size) const = 0;
  virtual Digest hash(const void* head, std::size_t head_size, const void* data, std::size_t size) const = 0;

  // Writes tree(payload) of docs/SPEC.md to `out` (room for kLeafBytes) and returns its length. Reads the
  // payload once, in place where it is contiguous and otherwise through a block of scratch memory. Throws
  // std::bad_alloc.
  virtual std::size_t fold(const Payload& payload, std::byte* out) const = 0;
  // The same for a payload of `expected` bytes that arrives in pieces. The algorithm must outlive it.
  virtual std::unique_ptr<Fold> start_fold(std::size_t expected) const = 0;

 protected:
  Algorithm(std::string_view its_name, std::size_t its_digest_bytes, std::size_t its_join_bytes,
            bool calls_python, std::uint64_t its_serial)
      : name(its_name),
        digest_bytes(its_digest_bytes),
        join_bytes(its_join_bytes),
        needs_gil(calls_python),
        serial(its_serial) {}
};

inline constexpr std::size_t kKeyBytes = 32;

// XXH3-128 with leaves of 8 KiB: identity v1. Its serial is 0.
const Algorithm& xxh3();

}  // namespace mmhash
