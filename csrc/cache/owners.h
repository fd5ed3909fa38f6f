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

// Torch says RuntimeError of what a tensor does not have; everything else is not ours to swallow.
inline bool is_refusal(const py::error_already_set& error) {
  return error.matches(PyExc_RuntimeError);  // NotImplementedError is one
}

// The array at the end of a NumPy array's chain of bases, which is kept alive by it: it owns the memory, or
// exports that of an object that is no array. `writable` tells if any array on the way can be written, or if
// the memory is neither the last array's own nor that of `bytes`, which are immutable but have no weak
// references.
py::object owner_array(py::handle array, bool& writable);

// A weak reference whose callback drops the owner's entries. Throws Unsupported for an object that has none.
PyObject* refer_to(py::handle owner);
bool refers_to(void* reference, std::uint64_t owner);

bool is_frozen(std::uint64_t owner);

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
// its owner. Throws Unsupported for other values, and for objects without weak references, whose end could
// not be noticed. Returns the owner.
py::object freeze(py::handle value);
// Ends that, and forgets every entry of the owner of the value, or of that owner.
void forget(py::handle value);
void forget_owner(py::handle owner);

}  // namespace mmhash
