// Owners: the Python objects whose lives are those of the memory, weak references to them, and what the
// caller has frozen. Everything here needs the GIL.
#pragma once

#include <cstdint>

#include "cache/cache.h"
#include "intake/tensor_view.h"

namespace mmhash {

inline std::uint64_t address(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

// The array at the end of a NumPy array's chain of bases, which is kept alive by it: it owns the memory, or
// exports that of an object that is no array.
py::object owner_array(py::handle array);

// A weak reference whose callback drops the owner's entries. Throws Unsupported for an object that has none.
PyObject* refer_to(py::handle owner);
bool refers_to(void* reference, std::uint64_t owner);

bool is_frozen(std::uint64_t owner);
bool any_frozen();

// Drops what a validator holds. May run other code, and let other threads run.
void release(const Validator& validator) noexcept;

// Validators of entries that have left the cache, released with this: not between reading the address of a
// tensor and holding its memory.
struct Dropped : Cache::Dropped {
  Dropped() = default;
  Dropped(const Dropped&) = delete;
  Dropped& operator=(const Dropped&) = delete;
  ~Dropped();
};

// The caller says that the memory of a tensor, array or buffer will not change until forget() or the end of
// its owner. Counts: a promise within another ends with its own thaw(). Throws Unsupported for other values,
// and for objects without weak references, whose end could not be noticed. Returns the owner.
py::object freeze(py::handle value);
// Ends one promise for that owner, and with the last of them forgets its entries.
void thaw(py::handle owner);
// Ends all promises and forgets all entries for the owner of the value, and for all memory that the value
// shows: also what another object shows that was frozen, such as a memoryview of this bytearray.
void forget(py::handle value);

}  // namespace mmhash
