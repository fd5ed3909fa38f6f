// Looking up: a value's digest through the cache. Look, prove, else compute and remember. Needs the GIL.
#pragma once

#include <new>
#include <optional>

#include "cache/cache.h"
#include "cache/validity.h"
#include "identity/tree.h"
#include "intake/gil.h"
#include "intake/tensor_view.h"

namespace mmhash {

// The digest of the entry that the lookup finds, if there is one and it is provably current.
inline std::optional<Digest> find_current(const Lookup& lookup, Dropped& dropped) {
  Digest digest;
  Validator validator;
  if (!cache().find(lookup.key, digest, validator)) {
    return std::nullopt;
  }
  // The entry may be evicted by other Python code before the proof is done; its validator must not go with
  // it.
  const auto owner = py::reinterpret_borrow<py::object>(static_cast<PyObject*>(validator.owner));
  const auto sentinel = py::reinterpret_borrow<py::object>(static_cast<PyObject*>(validator.sentinel));
  if (is_current(validator, lookup)) {
    cache().hit();
    return digest;
  }
  cache().invalidate(lookup.key, dropped);
  return std::nullopt;
}

// Single flight: waits for the thread that hashes. True once it is done. False at once if this thread is one
// that others wait for: a finalizer or a torch function mode has come here from within, and two that wait for
// each other would do so for ever; or when the interpreter ends, since it may have stopped the other thread
// for good.
inline bool wait_for(InFlight& other) {
  if (cache().others_may_wait()) {
    return false;
  }
  for (bool done = false; !done;) {
    without_gil([&] { done = other.wait(); });
    if (PyErr_CheckSignals() != 0) {
      throw py::error_already_set();
    }
    if (!done && is_finalizing()) {
      return false;
    }
  }
  return true;
}

// Single flight: computes and remembers. Others that ask for the same memory meanwhile wait for this, where
// that is cheaper than doing the same: from kParallelBytes on, as hashing takes all cores already.
template <typename Compute>
Digest compute_once(py::handle value, const TensorView& view, const Lookup& lookup, std::uint64_t forgets,
                    Dropped& dropped, Compute compute) {
  // First of all, since it calls torch, and from there other code may come back for the same memory.
  NewEntry entry(value, view, lookup);
  if (!entry.made()) {
    cache().bypass();
    return compute();
  }
  struct End {
    const CacheKey* key = nullptr;
    ~End() {
      if (key != nullptr) {
        try {
          cache().leave(*key);
        } catch (const std::bad_alloc&) {
          // A child that was forked meanwhile and cannot make its cache: there is nothing in it to leave.
        }
      }
    }
  } end;
  if (view.bytes() >= kParallelBytes && view.device.is_host()) {
    if (const auto other = cache().enter(lookup.key)) {
      if (wait_for(*other)) {
        if (const auto found = find_current(lookup, dropped)) {
          return *found;
        }
      }
      cache().miss();
      return compute();  // the other one failed, or the memory has changed since
    }
    end.key = &lookup.key;
    if (const auto found = find_current(lookup, dropped)) {
      return *found;  // another thread was done between the first look and this turn
    }
  }
  cache().miss();
  const Digest digest = compute();
  entry.store(digest, forgets);
  return digest;
}

template <typename Compute>
Digest through_cache(py::handle value, TensorView& view, const Algorithm& algorithm, Compute compute) {
  if (view.bytes() < kCacheMinBytes || !cache().enabled()) {
    return compute();
  }
  Lookup lookup;
  if (!make_lookup(value, view, algorithm, lookup)) {
    cache().bypass();
    return compute();
  }
  Dropped dropped;
  if (const auto found = find_current(lookup, dropped)) {
    return *found;
  }
  // Up to here no other thread has run since the address was read: what was asked of torch keeps the GIL,
  // unless a mode redirects it to Python, and then hold_memory() tells. From here on others may run.
  const std::uint64_t forgets = cache().forgets();
  hold_memory(value, view);
  return compute_once(value, view, lookup, forgets, dropped, compute);
}

}  // namespace mmhash
