// The room devices: what a device must offer, which is to start the fold of a payload on a stream of its own
// and to tell when it is done. May be known here: identity, intake, the framework whose memory it is. Nothing
// of caches, values or Python's arguments. To add a device: a folder beside cuda/ and its row in
// backend_of().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>

#include "identity/algorithm.h"
#include "intake/device.h"

namespace mmhash {

// The device cannot fold on this machine: the reason. Its tensors are copied to the host to be hashed.
struct Unavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// It cannot now, and may later: there is no memory left.
struct OutOfMemory : Unavailable {
  OutOfMemory()
      : Unavailable("the GPU, or the host's pinned memory, has no room left for what a hash takes") {}
};

// A payload that is being folded on its device. Its memory must stay until done().
class DeviceFold {
 public:
  DeviceFold() = default;
  DeviceFold(const DeviceFold&) = delete;
  DeviceFold& operator=(const DeviceFold&) = delete;
  virtual ~DeviceFold() = default;

  // Never blocks. Throws std::runtime_error in a forked child.
  virtual bool done() const = 0;
  // Blocks until done(); to be called without the GIL. Throws std::runtime_error if the device reports an
  // error, be it of earlier work.
  virtual void wait() = 0;
  // Writes tree(payload), at most kLeafBytes, and returns its length, once done(). As often as one likes.
  virtual std::size_t finish(std::byte* out) const = 0;
  // The framework's handle of the stream it runs on.
  virtual std::uintptr_t stream() const = 0;
  // True in a child that was forked after it was started: nothing of it may be touched there.
  virtual bool forked() const = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Its one name in info(): how tensors on it are hashed.
  virtual const char* path() const = 0;
  virtual bool folds(const Algorithm& algorithm) const = 0;
  // Enqueues the fold, by an algorithm that it folds(), of a payload that is not empty on the framework's
  // current stream of the device with that index, behind what is there already. Null if the layout is beyond
  // the device: it has to be copied. Throws Unavailable, and std::runtime_error while a graph is being
  // captured, in a child that was forked after the device was used, or if the device reports an error. Needs
  // the GIL, and releases it.
  virtual std::unique_ptr<DeviceFold> start(const Payload& payload, int index,
                                            const Algorithm& algorithm) = 0;
  // Does now what start() does once for an algorithm that it folds(). Throws the same, but for captures.
  // Needs the GIL, and releases it.
  virtual void warm_up(int index, const Algorithm& algorithm) = 0;
};

// Null for a device that has none: its tensors are copied to the host.
Backend* backend_of(Device device);

}  // namespace mmhash
