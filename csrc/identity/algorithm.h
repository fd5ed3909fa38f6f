// The room identity: what is hashed of a value, by whichever algorithm: dtypes, layout, frames, folds,
// threads. No Python and no GIL here, and of what lies below only algorithms/; whose memory it is and what
// kind of value belong above.
//
// What a hash algorithm must offer: the one seam that frames, payloads, the cache's keys, devices and Python
// share. To add one: its code under algorithms/<name>/ and its row in algorithm.cpp.
//
// A strategy object: functions behind one struct, and not a class template, because the algorithm is chosen
// at run time, once for a whole value; the indirect call costs under 1 % of hashing 64 bytes.
#pragma once

#include <cstddef>
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

struct Algorithm {
  // Its one name: in Python, in the environment, in info() and in reports.
  std::string_view name;
  // Bytes of an identity: half of kMaxDigestBytes or all. A frame of parts holds as many of each.
  std::size_t digest_bytes;
  // From this many bytes of payload on, hash_joined() beats copying the payload behind its frame.
  std::size_t join_bytes;

  // H(data), and H(head followed by data) without copying them together: digest_bytes of `digest`.
  void (*hash_bytes)(const void* data, std::size_t size, std::uint8_t* digest);
  void (*hash_joined)(const void* head, std::size_t head_size, const void* data, std::size_t size,
                      std::uint8_t* digest);

  // Writes tree(payload) of docs/SPEC.md to `out` (room for kLeafBytes) and returns its length. Reads the
  // payload once, in place where it is contiguous and otherwise through at most 64 KiB of scratch a thread.
  // Throws std::bad_alloc.
  std::size_t (*fold)(const Payload& payload, std::byte* out);
  // The same for a payload of `expected` bytes that arrives in pieces.
  std::unique_ptr<Fold> (*start_fold)(std::size_t expected);

  Digest hash(const void* data, std::size_t size) const {
    Digest digest{};
    hash_bytes(data, size, digest.data());
    return digest;
  }
  Digest hash(const void* head, std::size_t head_size, const void* data, std::size_t size) const {
    Digest digest{};
    hash_joined(head, head_size, data, size, digest.data());
    return digest;
  }
};

// XXH3-128 with leaves of 8 KiB: identity v1.
const Algorithm& xxh3();

// The algorithm of that name. Throws std::invalid_argument, listing the valid names.
const Algorithm& find_algorithm(std::string_view name);

}  // namespace mmhash
