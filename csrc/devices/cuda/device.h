// What is kept for each GPU: its context, its kernels, and the buffers of launches. Nothing here needs the
// GIL, and what may take long (open, kernel) must be called without it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "devices/cuda/compile.h"
#include "devices/cuda/driver.h"

namespace mmhash::cuda {

// The buffers of one launch, used again when it is over.
struct Slot {
  unsigned char* result = nullptr;  // pinned host memory that the kernel writes: up to kLeafBytes ...
  unsigned* ready = nullptr;        // ... and the ticket of the launch whose result it is
  DevicePointer device_result = 0, device_ready = 0;  // the same as the device addresses it
  unsigned ticket = 0;
  DevicePointer arrived = 0, digests = 0;  // see Job
  std::size_t leaves = 0;                  // for at most as many

  // Acquire load: with the ticket, the result is there. The compilers' builtin, since libc++ before 19 has no
  // std::atomic_ref.
  bool done() const { return __atomic_load_n(ready, __ATOMIC_ACQUIRE) == ticket; }
};

class Device {
 public:
  // Null if open() was not called yet. Throws Unavailable if it failed, and std::runtime_error in a child
  // that was forked after it was called.
  static Device* find(int ordinal);
  // `nvrtc`: see compile_kernel(). Throws Unavailable, and remembers why, but for OutOfMemory.
  static Device& open(int ordinal, const std::vector<std::string>& nvrtc);

  Context context() const { return context_; }
  unsigned multiprocessors() const { return multiprocessors_; }

  // Compiled when it is first asked for, and given so many bytes of dynamic shared memory at most. Throws
  // Unavailable, and remembers why, but for OutOfMemory. The context is current.
  Function kernel(Family family, Access access, unsigned shared_bytes);

  // Throws std::runtime_error if an error, of whichever kernel, has ended all work in the context.
  void check_health() const;

  // Buffers for a launch. Null if the GPU or the host has no memory left. All that were ever made are kept.
  // The context is current.
  Slot* acquire(std::size_t leaves);
  // Gives the buffers back. A launch that is not over keeps them until it is.
  void release(Slot* slot);

 private:
  struct Compiled {
    std::atomic<Function> function{nullptr};
    std::vector<char> image;  // until it is loaded, for which the device may lack memory now
    Module module = nullptr;
    std::string refused;  // why it could not be compiled
  };

  Device(int ordinal, std::vector<std::string> nvrtc);
  Slot* take(std::size_t leaves);
  bool make(std::size_t leaves);  // a power of two
  Function load(Compiled& compiled, const std::string& name, unsigned shared_bytes);

  std::vector<std::string> nvrtc_;
  Context context_ = nullptr;
  Stream stream_ = nullptr;  // to clear new slots, beside whatever else is running
  int major_ = 0, minor_ = 0;
  unsigned multiprocessors_ = 0;

  std::mutex compiling_;
  std::array<std::array<Compiled, kAccesses>, kFamilies> kernels_;

  std::mutex mutex_;                    // of the slots; held for a few instructions
  std::vector<Slot*> free_, draining_;  // each has room for all slots, so that giving one back cannot fail
  std::size_t slots_ = 0;
  std::array<std::size_t, 65> made_{};  // slots by the bit width of their leaves
};

// True in a child that was forked after a device was opened: CUDA does not work there, and pinned memory is
// not there either.
bool forked();

}  // namespace mmhash::cuda
