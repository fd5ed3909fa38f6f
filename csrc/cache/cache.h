// The room cache: a bounded LRU cache of identities, keyed by who a tensor is instead of what it holds. It
// knows views (csrc/intake) and digests; no kind of value, no device's driver, and no algorithm belong here.
// This file and key.h know no Python either.
//
// What a hit rests on
// -------------------
// An entry says: this memory, read with this layout, had this identity. A hit needs proof that it is the same
// memory and that nobody has written it since. An address proves neither: of 20,000 tensors made after a
// free, 6,666 got the freed one's address.
//
// 1. Weakref callback: the owner cannot be another. Every entry holds a weak reference to the Python object
//    whose life is that of the memory: torch's UntypedStorage (of which a StorageImpl has one, for as long as
//    it lives, since torch 2.1), or the NumPy array. A hit needs the reference to lead to the very object
//    that the tensor has now. When the object ends, the reference is dead before the address can be used
//    again, and its callback drops the entry. It keeps neither the memory nor the tensor alive.
// 2. The owner's memory is where it was. The data pointer is part of the key: resize_, share_memory_ and
//    `.data =` change the pointer or the storage.
// 3. It is read in the same way. Dtype, shape, strides and lazy bits are part of the key.
// 4. Version counter: nobody has written it. Torch counts in-place operations in a version counter that a
//    tensor shares with its views and with detach(). An entry holds a sentinel: a tensor of no elements that
//    shares the counter of the tensor that was hashed, and the version from *before* it was hashed. A hit
//    needs that version from the sentinel and from the tensor that asks. The sentinel is what makes tensors
//    with a counter of their own safe (x.data starts at 0 over the same storage): their version alone may
//    agree by chance. A write by another thread *while* the tensor is hashed counts when it ends, and then
//    the entry's version is old. (Not so what torch.compile and custom operators write: they count before
//    they write, so that a hash taken in between stays, of some mixture.)
// 5. What torch does not count is not cached: inference tensors (no counter, or one that stands still),
//    memory that torch does not own (from_numpy, from_blob, torch.load, DLPack and CUDA IPC imports: not
//    resizable), shared memory (other processes write it), pinned memory (staging buffers that copies fill),
//    devices other than CUDA's; and NumPy's arrays and all other buffers, also those that are read-only: they
//    have no counter, and torch.as_tensor, ctypes and OpenCV write through the flag without a word; unless
//    the caller has said that they will not change (freeze). Nor does a hit outlive .numpy(), which makes the
//    storage not resizable, and would write unseen from then on.
// On a CUDA device writes count when they are enqueued. A hash on a stream that does not wait for them is of
// some mixture, as any read would be, and stays.
//
// What remains is a write that leaves the version of the tensor at hand as it is, into memory that torch
// owns:
//  - through untyped_storage(), storage(), DLPack or a raw pointer: torch.distributed's collectives, fused
//    optimizers, GradScaler.unscale_, custom and Triton kernels; CUDA graphs, which count when they are
//    captured and not when they are replayed; other processes that a CUDA tensor was sent to;
//  - by the few operators that do not count: batch norm's running statistics, kron(out=), apply_ and map_,
//    the observers of fake quantization; by what runs under _unsafe_preserve_version_counter or is issued by
//    a __torch_dispatch__ handler; and, as seen by such a handler, by the operator that it is handling;
//  - through a tensor that shares the storage with a counter of its own: made by .data, set_(), copy.copy, a
//    deepcopy of several views, unsafe_chunk and unsafe_split, from_dlpack, as the values of a sparse tensor,
//    or by view(dtype) of an inference tensor or under inference_mode (one of the two has no counter then).
// The docstring of identity() says so, in short. (A side effect: NumPy does not resize() an array that
// something refers to weakly, until forget().)
//
// To this file an owner is a number and a validator is opaque. Thread-safe; one mutex, which is
// never held while Python code may run, because that code may come back here.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/key.h"
#include "identity/digest.h"

namespace mmhash {

// What an entry holds to prove points 1 and 4 (a "validator", as HTTP's caches call it); made and released by
// validity.cpp.
struct Validator {
  void* owner = nullptr;     // weak reference to the owner
  void* sentinel = nullptr;  // tensor that shares the version counter; null if there is none
  std::uint64_t version = 0;
  bool frozen = false;  // the caller answers for the memory
  Extent memory{};      // that was hashed, for forget()
};

struct CacheStats {
  std::uint64_t hits = 0, misses = 0, bypasses = 0, evictions = 0, invalidations = 0;
  std::size_t maxsize = 0, currsize = 0;
};

// Single flight: one thread hashes, others that want the same memory wait until it is done and then look into
// the cache again, with all the proof that a hit needs: what they waited for may have failed, or be old
// already.
class InFlight {
 public:
  void finish();
  // Waits a while. True if it is done.
  bool wait();
  // Whether this thread is the one that hashes.
  bool ours() const { return thread_ == std::this_thread::get_id(); }

 private:
  const std::thread::id thread_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::condition_variable done_;
  bool finished_ = false;
};

class Cache {
 public:
  explicit Cache(std::size_t maxsize) : maxsize_(maxsize) {}

  // Entries that leave the cache give their validators to `dropped`, to be released without the lock.
  using Dropped = std::vector<Validator>;

  // Finds an entry and makes it the youngest. Whether it is current is for the caller to find out; it
  // then calls hit() or invalidate().
  bool find(const CacheKey& key, Digest& digest, Validator& validator);
  void hit() { ++hits_; }
  void invalidate(const CacheKey& key, Dropped& dropped);
  void miss() { ++misses_; }
  void bypass() { ++bypasses_; }

  // Adds or replaces an entry, evicting the oldest beyond maxsize. Generation counter: drops the new one if
  // anything was forgotten since the caller asked for `forgets`, which it did before it read the memory:
  // forget() and the write that follows it may have come in between.
  void insert(const CacheKey& key, const Digest& digest, const Validator& validator, std::uint64_t forgets,
              Dropped& dropped);
  std::uint64_t forgets() const { return forgets_.load(); }

  // Removes all entries of one owner and all whose memory meets the extent, or all. The statistics survive
  // the former and not the latter.
  void forget(std::uint64_t owner, Extent memory, Dropped& dropped);
  void clear(Dropped& dropped);
  // Likewise for an owner that is no more, whose memory nobody can be hashing.
  void end(std::uint64_t owner, Dropped& dropped);
  void resize(std::size_t maxsize, Dropped& dropped);
  CacheStats stats() const;
  bool enabled() const { return maxsize_.load(std::memory_order_relaxed) > 0; }

  // Null if nobody is hashing this memory: then the caller is, until it calls leave(), which it must.
  // Otherwise what to wait for.
  std::shared_ptr<InFlight> enter(const CacheKey& key);
  void leave(const CacheKey& key);
  // Whether this thread is hashing memory that others may wait for. Found in the table and not counted in a
  // thread_local: where memory is short, a thread's first access to one ends the process (see scratch.cpp).
  bool others_may_wait() const;

 private:
  struct Entry {
    CacheKey key;
    Digest digest;
    Validator validator;
  };
  using Entries = std::list<Entry>;  // youngest first

  void remove(Entries::iterator entry, Dropped& dropped);
  void remove_all(std::uint64_t owner, Dropped& dropped);
  void evict(Dropped& dropped);

  mutable std::mutex mutex_;
  Entries entries_;
  std::unordered_map<CacheKey, Entries::iterator, CacheKeyHash> index_;
  std::unordered_map<std::uint64_t, std::vector<Entries::iterator>> by_owner_;
  std::unordered_map<CacheKey, std::shared_ptr<InFlight>, CacheKeyHash> in_flight_;
  std::atomic<std::size_t> maxsize_;
  std::atomic<std::uint64_t> forgets_{0};
  std::atomic<std::uint64_t> hits_{0}, misses_{0}, bypasses_{0}, evictions_{0}, invalidations_{0};
};

// The process's cache. A forked child gets an empty one of the same size: the parent's may stand in the
// middle of a change there.
Cache& cache();

// An entry takes 1 KB.
inline constexpr std::size_t kDefaultCacheSize = 4096;

}  // namespace mmhash
