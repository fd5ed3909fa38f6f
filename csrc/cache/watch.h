// What the cache knows of a Python value: who owns its memory, and how to notice that the memory is not
// what it was. The argument that this suffices is in cache.h. Everything here needs the GIL.
#pragma once

#include <cstddef>

#include "cache/cache.h"
#include "intake/tensor_view.h"

namespace mmhash {

// Payloads below this are hashed without asking the cache. Measured: see watch.cpp.
inline constexpr std::size_t kCacheMinBytes = std::size_t{128} << 10;

// A value whose memory can be recognised.
struct Subject {
  CacheKey key;
  std::uint64_t version = 0;
  py::object owner;       // whose life is that of the memory
  bool torch = false;     // the owner is a torch storage
  bool counted = false;   // the version counts the writes
  bool writable = false;  // a NumPy array or a buffer that can be written
  bool lazy = false;      // conjugated or negated when it is read
};

// Who the value is. False if it cannot be recognised later: its identity is then computed each time.
bool identify(py::handle value, const TensorView& view, const Algorithm& algorithm, Subject& subject);

// True if an entry with this watch holds for the subject that found it.
bool is_current(const Watch& watch, const Subject& subject);

// A watch for a new entry, made before the memory is read, and released with this unless it was stored.
class NewWatch {
 public:
  NewWatch(py::handle value, const TensorView& view, const Subject& subject);
  NewWatch(const NewWatch&) = delete;
  NewWatch& operator=(const NewWatch&) = delete;
  ~NewWatch();

  // False if the memory could change without the watch noticing, and the caller has not frozen it: the value
  // is then hashed each time.
  bool made() const { return made_; }
  // Adds the entry.
  void store(const Digest& digest, std::uint64_t forgets);

 private:
  const Subject& subject_;
  Watch watch_;
  bool made_ = false;
};

// Watches of entries that have left the cache, released with this. Releasing one may run other code, and let
// other threads run: not between reading the address of a tensor and holding its memory.
struct Dropped : Cache::Dropped {
  Dropped() = default;
  Dropped(const Dropped&) = delete;
  Dropped& operator=(const Dropped&) = delete;
  ~Dropped();
};

// The caller says that the memory of a tensor, array or buffer will not change until unfreeze() or the end
// of its owner. TypeError for other values, and for objects without weak references, whose end
// could not be noticed. Returns the owner.
py::object freeze(py::handle value);
// Ends that, and forgets every entry of the owner of the value, or of that owner.
void forget(py::handle value);
void forget_owner(py::handle owner);

}  // namespace mmhash
