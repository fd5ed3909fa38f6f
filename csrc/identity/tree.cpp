#include "identity/tree.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "identity/scratch.h"
#include "identity/thread_pool.h"

// Where the numbers come from
// ---------------------------
// kBlockBytes: a gathered block, which a thread keeps: eight leaves at a time spread the cost of finding
// one's place in the layout, and 64 KiB a thread is the most that the README promises.
// kTaskBytes: what a thread takes at a time from a shared job: about 8 us of hashing, so that the one
// atomic increment per task is invisible and the threads finish within 8 us of each other.
// kParallelBytes: where two threads begin to gain on two cores (Zen 3). Against one they reach 0.77 at 1 MiB,
// 0.97 at 2, 1.05 at 4 and 1.5 at 18.8: the second has to wake up and to fetch its share into its own caches.

namespace mmhash {
namespace {

constexpr std::size_t kBlockBytes = kScratchBytes;
static_assert(kBlockBytes == 8 * kLeafBytes);
constexpr std::size_t kTaskBytes = 32 * kLeafBytes;

std::size_t leaf_count(std::size_t size) {
  return (size + kLeafBytes - 1) / kLeafBytes;
}

// Digests of the leaves of memory in place; the last one may be short.
void hash_leaves(const std::byte* data, std::size_t size, Xxh3Digest* digests) {
  static_assert(sizeof(Xxh3Digest) == 16);
  const std::size_t whole = size / kLeafBytes;
  kernel().hash128_leaves(data, whole, reinterpret_cast<unsigned char (*)[16]>(digests));
  if (const std::size_t rest = size % kLeafBytes; rest > 0) {
    digests[whole] = xxh3_128(data + whole * kLeafBytes, rest);
  }
}

// Digests of the leaves in [begin, end) bytes of the payload; begin is a multiple of kLeafBytes.
void hash_leaves(const Payload& payload, std::size_t begin, std::size_t end, Xxh3Digest* digests) {
  if (payload.verbatim()) {
    return hash_leaves(payload.data() + begin, end - begin, digests);
  }
  std::byte* block = scratch();  // there: the job has asked for it
  for (; begin < end; begin += kBlockBytes) {
    const std::size_t size = std::min(kBlockBytes, end - begin);
    hash_leaves(payload.read(begin, size, block), size, digests);
    digests += leaf_count(size);
  }
}

struct LeafJob {
  const Payload* payload;
  Xxh3Digest* digests;
  std::size_t first;  // the offset of the first task

  static void run(void* context, std::size_t index) noexcept {
    const LeafJob& job = *static_cast<LeafJob*>(context);
    const std::size_t begin = job.first + index * kTaskBytes;
    const std::size_t end = std::min(begin + kTaskBytes, job.payload->size());
    hash_leaves(*job.payload, begin, end, job.digests + begin / kLeafBytes);
  }

  static bool can_help(void* context) noexcept {
    return static_cast<LeafJob*>(context)->payload->verbatim() || scratch() != nullptr;
  }
};

// The leaves from `begin`, a multiple of kLeafBytes, to `end`, the payload's or another multiple, into their
// places in `digests`. Returns the offset up to which that is done: `end`, or less once the deadline has
// passed.
std::size_t hash_all_leaves(const Payload& payload, Xxh3Digest* digests, std::size_t begin, std::size_t end,
                            Deadline deadline) {
  LeafJob job{&payload, digests, begin};
  if (!LeafJob::can_help(&job)) {
    throw std::bad_alloc();
  }
  if (payload.size() < kParallelBytes) {
    hash_leaves(payload, begin, end, digests + begin / kLeafBytes);
    return end;
  }
  const std::size_t tasks = (end - begin + kTaskBytes - 1) / kTaskBytes;
  const std::size_t done = parallel_for(tasks, {LeafJob::run, &job, LeafJob::can_help}, deadline);
  return done == tasks ? end : begin + done * kTaskBytes;
}

void hash_all_leaves(const Payload& payload, Xxh3Digest* digests) {
  hash_all_leaves(payload, digests, 0, payload.size(), kNoDeadline);
}

// The levels above the first: 512 digests fill a leaf, so each level is 1/512 of the one below.
std::size_t fold_digests(std::vector<Xxh3Digest> level, std::byte* out) {
  while (level.size() * sizeof(Xxh3Digest) > kLeafBytes) {
    const Payload bytes(level.data(), level.size() * sizeof(Xxh3Digest));
    std::vector<Xxh3Digest> above(leaf_count(bytes.size()));
    hash_all_leaves(bytes, above.data());
    level = std::move(above);
  }
  std::memcpy(out, level.data(), level.size() * sizeof(Xxh3Digest));
  return level.size() * sizeof(Xxh3Digest);
}

}  // namespace

std::size_t fold_tree(const Payload& payload, std::byte* out) {
  if (payload.size() <= kLeafBytes) {
    const std::byte* bytes = payload.read(0, payload.size(), out);
    if (bytes != out && payload.size() > 0) {
      std::memcpy(out, bytes, payload.size());
    }
    return payload.size();
  }
  std::vector<Xxh3Digest> digests(leaf_count(payload.size()));
  hash_all_leaves(payload, digests.data());
  return fold_digests(std::move(digests), out);
}

void TreeFold::update(const void* data, std::size_t size) {
  if (size > expected_ - total_) {
    throw std::length_error("the pieces hold more than the expected " + std::to_string(expected_) + " bytes");
  }
  const std::byte* bytes = static_cast<const std::byte*>(data);
  total_ += size;
  if (size > 0 && (pending_ > 0 || expected_ <= kLeafBytes)) {
    const std::size_t taken = std::min(size, kLeafBytes - pending_);
    std::memcpy(partial_.data() + pending_, bytes, taken);
    pending_ += taken;
    bytes += taken;
    size -= taken;
    if (pending_ < kLeafBytes || expected_ <= kLeafBytes) {
      return;
    }
    digests_.push_back(xxh3_128(partial_.data(), kLeafBytes));
    pending_ = 0;
  }
  const std::size_t whole = size - size % kLeafBytes;
  if (whole > 0) {
    const std::size_t before = digests_.size();
    digests_.resize(before + whole / kLeafBytes);
    hash_all_leaves(Payload(bytes, whole), digests_.data() + before);
  }
  if (size > whole) {
    std::memcpy(partial_.data(), bytes + whole, size - whole);
    pending_ = size - whole;
  }
}

bool TreeFold::read(const Payload& payload, Deadline deadline) {
  // So many bytes get room for their digests at a time: to touch it all first would take as long as hashing.
  constexpr std::size_t kRoomBytes = std::size_t{1} << 30;
  digests_.reserve(leaf_count(expected_));
  const std::size_t end = total_ + std::min(kRoomBytes, expected_ - total_);
  digests_.resize(leaf_count(end));
  total_ = hash_all_leaves(payload, digests_.data(), total_, end, deadline);
  digests_.resize(leaf_count(total_));
  return total_ == expected_;
}

std::size_t TreeFold::finish(std::byte* out) {
  if (total_ != expected_) {
    throw std::length_error("the pieces hold " + std::to_string(total_) + " bytes, expected " +
                            std::to_string(expected_));
  }
  if (expected_ <= kLeafBytes) {
    std::memcpy(out, partial_.data(), pending_);
    return pending_;
  }
  if (pending_ > 0) {
    digests_.push_back(xxh3_128(partial_.data(), pending_));
    pending_ = 0;
  }
  return fold_digests(std::move(digests_), out);
}

}  // namespace mmhash
