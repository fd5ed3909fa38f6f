#include "values/payloads.h"

#include "cache/lookup.h"
#include "devices/device_hash.h"
#include "identity/frame.h"
#include "intake/counters.h"
#include "intake/gil.h"
#include "intake/tensor_view.h"

// Memory that changes while it is hashed
// --------------------------------------
// The payload is read once, without a lock, and without the GIL where it is large. Another thread that
// writes into it meanwhile makes the digest that of some mixture, as it would for any reader; nothing
// else happens, since no address and no length depends on it. What must not happen is that the memory
// goes away. Buffers are held by their export (a bytearray then refuses to be resized), DLPack capsules
// by a reference, torch storages by hold_storage(). Lists and mappings are walked in a snapshot that
// holds its elements, because another thread may change the container whenever the GIL is released, and
// so may any method of an element that the walk calls.

namespace mmhash {
namespace {

// Without the GIL, where the algorithm allows it, if hashing takes long enough for others to notice.
Digest digest_of(const Algorithm& algorithm, Frame& frame, const Payload& payload) {
  if (payload.size() < kGilReleaseBytes) {
    return frame.digest(algorithm, payload);
  }
  Digest digest;
  const auto fold = algorithm.start_fold(payload.size());  // 8 KiB that a small stack need not have
  in_slices(algorithm.needs_gil, [&](Deadline deadline) {
    const bool done = fold->read(payload, deadline);
    if (done) {
      digest = frame.digest(algorithm, *fold);
    }
    return done;
  });
  return digest;
}

Digest tensor_digest(py::handle value, TensorView& view, const Algorithm& algorithm) {
  if (!view.device.is_host()) {
    return device_digest(value, view, algorithm);
  }
  // One that calls Python may release the GIL over anything that is longer than its frame.
  if (view.bytes() >= kHoldBytes || (algorithm.needs_gil && view.bytes() > kLeafBytes)) {
    hold_memory(value, view);
  }
  Frame frame(*view.dtype, view.shape());
  const Payload payload = view.payload();
  if (!payload.in_place()) {
    count(counters.gathered);
  }
  return digest_of(algorithm, frame, payload);
}

}  // namespace

bool hash_tensor(py::handle value, Digest& digest, const Options& options) {
  TensorView view;
  if (!read_tensor(value, view)) {
    return false;
  }
  const auto compute = [&] { return tensor_digest(value, view, options.algorithm); };
  digest = options.use_cache ? through_cache(value, view, options.algorithm, compute) : compute();
  return true;
}

Digest hash_bytes(const Algorithm& algorithm, char kind, const Payload& payload) {
  Frame frame(kind);
  frame.u64(payload.size());
  return digest_of(algorithm, frame, payload);
}

bool hash_buffer(py::handle value, Digest& digest, const Options& options) {
  TensorView view;
  if (!read_buffer(value, view)) {
    return false;
  }
  const auto compute = [&] { return hash_bytes(options.algorithm, 'Y', view.payload()); };
  digest = options.use_cache ? through_cache(value, view, options.algorithm, compute) : compute();
  return true;
}

}  // namespace mmhash
