// A value's digest through the cache: look, prove, else compute and remember. Needs the GIL.
#pragma once

#include <optional>

#include "cache/cache.h"
#include "cache/watch.h"
#include "identity/tree.h"
#include "intake/gil.h"
#include "intake/tensor_view.h"

namespace mmhash {

// The digest of a cached entry for the subject, if there is one and it is provably current.
inline std::optional<Digest> look_up(const Subject& subject, Dropped& dropped) {
  Digest digest;
  Watch watch;
  if (!cache().find(subject.key, digest, watch)) {
    return std::nullopt;
  }
  // The entry may be evicted by other Python code before the proof is done; its watch must not go with it.
  const auto owner = py::reinterpret_borrow<py::object>(static_cast<PyObject*>(watch.owner));
  const auto sentinel = py::reinterpret_borrow<py::object>(static_cast<PyObject*>(watch.sentinel));
  if (is_current(watch, subject)) {
    cache().hit();
    return digest;
  }
  cache().invalidate(subject.key, dropped);
  return std::nullopt;
}

// True once it is done. False at once if this thread is the one that hashes: a torch function mode has come
// back here from within; or when the interpreter ends, since it may have stopped the other thread for good.
inline bool wait_for(InFlight& other) {
  if (other.is_mine()) {
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

// Computes and remembers. Others that ask for the same memory meanwhile wait for this, where that is
// cheaper than doing the same: from kParallelBytes on, as hashing takes all cores already.
template <typename Compute>
Digest compute_once(py::handle value, const TensorView& view, const Subject& subject, std::uint64_t forgets,
                    Dropped& dropped, Compute compute) {
  // First of all, since it calls torch, and from there other code may come back for the same memory.
  NewWatch watch(value, view, subject);
  if (!watch.made()) {
    cache().bypass();
    return compute();
  }
  struct End {
    const CacheKey* key = nullptr;
    ~End() {
      if (key != nullptr) {
        cache().leave(*key);
      }
    }
  } end;
  if (view.bytes() >= kParallelBytes && !view.on_device) {
    if (const auto other = cache().enter(subject.key)) {
      if (wait_for(*other)) {
        if (const auto found = look_up(subject, dropped)) {
          return *found;
        }
      }
      cache().miss();
      return compute();  // the other one failed, or the memory has changed since
    }
    end.key = &subject.key;
    if (const auto found = look_up(subject, dropped)) {
      return *found;  // another thread was done between the first look and this turn
    }
  }
  cache().miss();
  const Digest digest = compute();
  watch.store(digest, forgets);
  return digest;
}

template <typename Compute>
Digest through_cache(py::handle value, TensorView& view, const Algorithm& algorithm, Compute compute) {
  if (view.bytes() < kCacheMinBytes || !cache().enabled()) {
    return compute();
  }
  Subject subject;
  if (!identify(value, view, algorithm, subject)) {
    cache().bypass();
    return compute();
  }
  Dropped dropped;
  if (const auto found = look_up(subject, dropped)) {
    return *found;
  }
  // Up to here no other thread has run since the address was read: what was asked of torch keeps the GIL,
  // unless a mode redirects it to Python, and then hold_memory() tells. From here on others may run.
  const std::uint64_t forgets = cache().forgets();
  hold_memory(value, view);
  return compute_once(value, view, subject, forgets, dropped, compute);
}

}  // namespace mmhash
