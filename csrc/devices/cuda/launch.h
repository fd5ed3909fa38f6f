// One payload in a GPU's memory, being folded there (docs/SPEC.md, tree) by whichever method. Needs no GIL.
#pragma once

#include <cstddef>
#include <optional>

#include "devices/cuda/device.h"
#include "devices/cuda/method.h"
#include "identity/layout.h"

namespace mmhash::cuda {

class Launch {
 public:
  // Enqueues the fold of a payload that is not empty on the stream, behind what is there already. The
  // payload's memory must stay until done(). Nothing if the kernel cannot gather the layout. Throws
  // Unavailable if there is no kernel, OutOfMemory if there is no memory for buffers, and std::runtime_error
  // while a graph is being captured on the stream or if CUDA reports an error.
  static std::optional<Launch> start(Device& device, const Method& method, const Payload& payload,
                                     Stream stream);

  Launch(Launch&& other) noexcept;
  Launch& operator=(Launch&&) = delete;
  ~Launch();

  // Never blocks and asks nobody: the kernel itself writes it into host memory.
  bool done() const;

  // Blocks until done(). Throws std::runtime_error if CUDA reports an error, be it of an earlier kernel.
  void wait();

  // Writes tree(payload), at most kLeafBytes, and returns its length, once done(); by the method of start().
  std::size_t finish(const Method& method, std::byte* out) const;

  Stream stream() const { return stream_; }

 private:
  Launch(Device& device, Slot* slot, Stream stream, std::size_t size, const Grid& grid)
      : device_(&device), slot_(slot), stream_(stream), size_(size), grid_(grid) {}

  Device* device_;
  Slot* slot_;
  Stream stream_;
  std::size_t size_;  // of the payload
  Grid grid_;
};

}  // namespace mmhash::cuda
