// A value's digest through the cache: look, prove, else compute and remember. Needs the GIL.
#pragma once

#include <optional>

#include "cache.h"
#include "gil.h"
#include "tensor_view.h"
#include "watch.h"

namespace mmhash {

// The digest of a cached entry for the subject, if there is one and it is provably current.
inline std::optional<Digest> look_up(const Subject& subject) {
  Digest digest;
  Watch watch;
  if (!cache().find(subject.key, digest, watch)) {
    return std::nullopt;
  }
  // The entry may be evicted by other Python code before the proof is done; its watch must not go with it.
  const auto held = py::reinterpret_borrow<py::object>(static_cast<PyObject*>(watch.object));
  if (is_current(watch, subject)) {
    cache().hit();
    return digest;
  }
  Cache::Dropped dropped;
  cache().invalidate(subject.key, dropped);
  release(dropped);
  return std::nullopt;
}

// Computes and remembers. Others that ask for the same memory meanwhile wait for this, where that is
// cheaper than doing the same: from kParallelBytes on, as hashing takes all cores already.
template <typename Compute>
Digest compute_once(py::handle value, const TensorView& view, const Subject& subject, Compute compute) {
  const bool shared = view.bytes() >= kParallelBytes && !view.on_device;
  if (shared) {
    if (const auto other = cache().begin(subject.key)) {
      without_gil([&] { other->wait(); });
      if (const auto found = look_up(subject)) {
        return *found;
      }
      cache().miss();
      return compute();  // the other one failed, or the memory has changed since
    }
  }
  struct End {
    const CacheKey* key;
    ~End() {
      if (key != nullptr) {
        cache().end(*key);
      }
    }
  } end{shared ? &subject.key : nullptr};
  cache().miss();
  Watch watch;
  const bool watched = make_watch(value, subject, watch);
  Cache::Dropped dropped;
  try {
    const Digest digest = compute();
    if (watched) {
      cache().insert(subject.key, digest, watch, dropped);
      release(dropped);
    }
    return digest;
  } catch (...) {
    if (watched) {
      release(watch);
    }
    throw;
  }
}

template <typename Compute>
Digest through_cache(py::handle value, const TensorView& view, bool use_cache, Compute compute) {
  if (!use_cache || view.bytes() < kCacheMinBytes || !cache().enabled()) {
    return compute();
  }
  Subject subject;
  if (!identify(value, view, subject)) {
    cache().bypass();
    return compute();
  }
  if (const auto found = look_up(subject)) {
    return *found;
  }
  if (!is_cacheable(value, subject)) {
    cache().bypass();
    return compute();
  }
  return compute_once(value, view, subject, compute);
}

}  // namespace mmhash
