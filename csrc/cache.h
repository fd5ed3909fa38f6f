// A bounded LRU cache of identities, keyed by who a tensor is instead of what it holds.
//
// What a hit rests on
// -------------------
// An entry says: this memory, read with this layout, had this identity. A hit needs proof that it is
// the same memory and that nobody has written it since. An address proves neither: of 20,000 tensors
// made after a free, 6,666 got the freed one's address.
//
// 1. The owner cannot be another. Every entry holds a weak count on the torch StorageImpl (or a weak
//    reference to the NumPy array) that owns the memory. It keeps neither the data nor the tensor
//    alive, but as long as it is held, no other storage can have that address. So a tensor whose
//    storage has the entry's address has the entry's storage, which by being held is alive.
// 2. The owner's memory is where it was. The data pointer is part of the key: resize_, share_memory_
//    and `.data =` change the pointer or the storage.
// 3. It is read in the same way. Dtype, shape, strides and lazy bits are part of the key.
// 4. Nobody has written it. Torch counts in-place operations in a version counter that a tensor shares
//    with its views and with detach(). An entry holds a sentinel: a tensor of no elements that shares
//    the counter of the tensor that was hashed, and the version from *before* it was hashed. A hit needs
//    that version from the sentinel and from the tensor that asks. The sentinel is what makes tensors
//    with a counter of their own safe (x.data starts at 0 over the same storage): their version alone
//    may agree by chance. A write by another thread *while* the tensor is hashed counts when it
//    ends, and then the entry's version is old.
// 5. What torch does not count is not cached: inference tensors (no counter), memory that torch does not
//    own (from_numpy, from_blob, DLPack imports: not resizable), shared memory (other processes write it),
//    pinned memory (staging buffers that copies fill), devices (CUDA graphs write them), writable
//    arrays and buffers; unless the caller has said that they will not change (freeze).
//
// What remains is a write that torch does not count for the tensor at hand, into memory that torch owns:
// through .numpy(), untyped_storage() or a raw pointer; by torch.distributed's collectives and receives, a
// custom or Triton kernel; through a tensor that shares the storage and is no view (made by .data, set_(),
// copy.copy, a deepcopy of several views, unsafe_chunk); and into a read-only NumPy array through a view made
// while it was writable. The docstring of identity() says so.
//
// This file knows no Python: an owner is a number and a watch is opaque. Thread-safe; one mutex, which is
// never held while Python code may run, because that code may come back here.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tree.h"

namespace mmhash {

struct CacheKey {
  std::uint64_t owner = 0;  // address of the StorageImpl or the array
  std::uint64_t data = 0;   // address of the first element
  Digest layout{};          // XXH3-128 of dtype, lazy bits, shape and strides
  bool operator==(const CacheKey&) const = default;
};

// What an entry holds to prove points 1 and 4; made and released by watch.cpp.
struct Watch {
  void* object = nullptr;     // sentinel tensor or weak reference: a Python object
  std::uint64_t storage = 0;  // StorageImpl on which a weak count is held, or 0
  std::uint64_t version = 0;
};

struct CacheStats {
  std::uint64_t hits = 0, misses = 0, bypasses = 0, evictions = 0, invalidations = 0;
  std::size_t maxsize = 0, currsize = 0;
};

// One thread hashes, others that want the same memory wait until it is done and then look into the cache
// again, with all the proof that a hit needs: what they waited for may have failed, or be old already.
class InFlight {
 public:
  void finish();
  void wait();

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  bool finished_ = false;
};

class Cache {
 public:
  explicit Cache(std::size_t maxsize) : maxsize_(maxsize) {}

  // Entries that leave the cache give their watches to `dropped`, to be released without the lock.
  using Dropped = std::vector<Watch>;

  // Finds an entry and makes it the youngest. Whether it is current is for the caller to find out; it
  // then calls hit() or invalidate().
  bool find(const CacheKey& key, Digest& digest, Watch& watch);
  void hit();
  void invalidate(const CacheKey& key, Dropped& dropped);
  void miss();
  void bypass();

  // Adds or replaces an entry, evicting the oldest beyond maxsize. Drops the new one if anything was
  // forgotten since the caller asked for `forgets`, which it did before it read the memory: forget() and the
  // write that follows it may have come in between.
  void insert(const CacheKey& key, const Digest& digest, const Watch& watch, std::uint64_t forgets,
              Dropped& dropped);
  std::uint64_t forgets() const { return forgets_.load(); }

  // Removes all entries of one owner, or all. The statistics survive the former and not the latter.
  void forget(std::uint64_t owner, Dropped& dropped);
  void clear(Dropped& dropped);
  void resize(std::size_t maxsize, Dropped& dropped);
  CacheStats stats() const;
  std::vector<std::pair<CacheKey, Watch>> entries() const;
  bool enabled() const { return maxsize_.load(std::memory_order_relaxed) > 0; }

  // Null if nobody is hashing this memory: then the caller is, until it calls end(), which it must.
  // Otherwise what to wait for.
  std::shared_ptr<InFlight> begin(const CacheKey& key);
  void end(const CacheKey& key);

 private:
  struct Entry {
    CacheKey key;
    Digest digest;
    Watch watch;
  };
  struct Hash {
    std::size_t operator()(const CacheKey& key) const {
      std::uint64_t layout;
      std::memcpy(&layout, key.layout.data(), sizeof layout);  // its bits are mixed already
      return static_cast<std::size_t>(layout ^ (key.data * 0x9e3779b97f4a7c15u) ^ key.owner);
    }
  };
  using Entries = std::list<Entry>;  // youngest first

  void remove(Entries::iterator entry, Dropped& dropped);
  void evict(Dropped& dropped);

  mutable std::mutex mutex_;
  Entries entries_;
  std::unordered_map<CacheKey, Entries::iterator, Hash> index_;
  std::unordered_map<CacheKey, std::shared_ptr<InFlight>, Hash> in_flight_;
  std::atomic<std::size_t> maxsize_;
  std::atomic<std::uint64_t> forgets_{0};
  CacheStats stats_;
};

// The process's cache. A forked child gets an empty one of the same size: the parent's may stand in the
// middle of a change there.
Cache& cache();

// Off until it is asked for: what remains (above) includes writes that serving code makes as a matter of
// course, such as a collective into a tensor that is used again, and only its author can rule them out.
inline constexpr std::size_t kDefaultCacheSize = 0;

}  // namespace mmhash
