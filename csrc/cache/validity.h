// Validity: the proof that an entry is current. A validator (as HTTP's caches call it) is what an entry holds
// for that, a lookup is what a value at hand answers. That this suffices is argued in cache.h. Everything
// here needs the GIL.
#pragma once

#include <cstddef>

#include "cache/owners.h"
#include "identity/algorithm.h"
#include "intake/tensor_view.h"

namespace mmhash {

// Payloads below this are hashed without asking the cache. Measured: see validity.cpp.
inline constexpr std::size_t kCacheMinBytes = std::size_t{128} << 10;

// What is looked up: a value whose memory can be recognised.
struct Lookup {
  CacheKey key;
  std::uint64_t version = 0;  // the version counter's value before the memory is read
  py::object owner;           // whose life is that of the memory
  bool torch = false;         // the owner is a torch storage
  bool counted = false;       // the version counts the writes
  bool writable = false;      // a NumPy array or a buffer that can be written
  bool lazy = false;          // conjugated or negated when it is read
};

// False if the memory cannot be recognised later, or could only be if it were frozen: its identity is then
// computed each time.
bool make_lookup(py::handle value, const TensorView& view, const Algorithm& algorithm, Lookup& lookup);

// True if an entry with this validator holds for the lookup that found it.
bool is_current(const Validator& validator, const Lookup& lookup);

// A validator for a new entry, made before the memory is read, and released with this unless it was stored.
class NewEntry {
 public:
  NewEntry(py::handle value, const TensorView& view, const Lookup& lookup);
  NewEntry(const NewEntry&) = delete;
  NewEntry& operator=(const NewEntry&) = delete;
  ~NewEntry();

  // False if the memory could change without the validator noticing, and the caller has not frozen it: the
  // value is then hashed each time.
  bool made() const { return made_; }
  // Adds the entry.
  void store(const Digest& digest, std::uint64_t forgets);

 private:
  const Lookup& lookup_;
  Validator validator_;
  bool made_ = false;
};

}  // namespace mmhash
