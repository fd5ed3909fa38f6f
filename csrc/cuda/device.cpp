#include "cuda/device.h"

#include <pthread.h>

#include <algorithm>
#include <bit>

#include "cuda/compile.h"
#include "cuda/job.h"

// Devices and slots are never freed: launches may be under way, and other threads hash, until the process
// ends.

namespace mmhash::cuda {
namespace {

constexpr int kMaxDevices = 64;
constexpr std::size_t kMinLeaves = 2048;  // of a slot: payloads up to 16 MiB, in 33 KiB of the GPU's memory
constexpr std::array kKernelNames = {"aligned", "unaligned", "strided"};

struct Opened {
  std::atomic<Device*> device{nullptr};
  std::atomic<const std::string*> refused{nullptr};
};
std::array<Opened, kMaxDevices> opened;
std::mutex opening;
std::atomic<bool> in_child{false};

std::size_t rounded_up(std::size_t size) {
  return (size + 255) / 256 * 256;
}

// Groups of digests of all levels above `leaves`, plus one a level for what does not fill a group. Each has a
// counter in `arrived` and a digest.
std::size_t groups_above(std::size_t leaves) {
  std::size_t groups = 0;
  do {
    leaves = (leaves + kFanIn - 1) / kFanIn;
    groups += leaves;
  } while (leaves > 1);
  return groups;
}

}  // namespace

bool forked() {
  return in_child.load(std::memory_order_relaxed);
}

Device* Device::find(int ordinal) {
  if (ordinal < 0 || ordinal >= kMaxDevices) {
    throw Unavailable("device " + std::to_string(ordinal) + " is beyond the 64 that are supported");
  }
  const Opened& entry = opened[static_cast<std::size_t>(ordinal)];
  if (const std::string* refused = entry.refused.load(std::memory_order_acquire)) {
    throw Unavailable(*refused);
  }
  return entry.device.load(std::memory_order_acquire);
}

Device& Device::open(int ordinal, const std::vector<std::string>& nvrtc) {
  const std::lock_guard lock(opening);
  if (Device* known = find(ordinal)) {
    return *known;
  }
  Opened& entry = opened[static_cast<std::size_t>(ordinal)];
  try {
    static const int watched = pthread_atfork(nullptr, nullptr, [] { in_child.store(true); });
    static_cast<void>(watched);
    auto* device = new Device(ordinal, nvrtc);
    entry.device.store(device, std::memory_order_release);
    return *device;
  } catch (const Unavailable& unavailable) {
    entry.refused.store(new std::string(unavailable.what()), std::memory_order_release);
    throw;
  }
}

Device::Device(int ordinal, std::vector<std::string> nvrtc) : nvrtc_(std::move(nvrtc)) {
  int device = 0, multiprocessors = 0;
  const bool found = driver().device_get(&device, ordinal) == kSuccess &&
                     driver().device_attribute(&major_, kMajor, device) == kSuccess &&
                     driver().device_attribute(&minor_, kMinor, device) == kSuccess &&
                     driver().device_attribute(&multiprocessors, kMultiprocessors, device) == kSuccess;
  if (!found) {
    throw Unavailable("the CUDA driver knows no device " + std::to_string(ordinal));
  }
  if (major_ < 7) {
    throw Unavailable("the GPU has compute capability " + std::to_string(major_) + "." +
                      std::to_string(minor_) + ", 7.0 is needed");
  }
  multiprocessors_ = static_cast<unsigned>(multiprocessors);
  const CaptureElsewhere allowed;
  if (driver().primary_context_retain(&context_, device) != kSuccess) {
    throw Unavailable("the GPU's primary context cannot be had");
  }
  const CurrentContext current(context_);
  kernel(kAligned);  // if NVRTC is missing, it is known from the start
}

Function Device::kernel(Kernel which) {
  Compiled& compiled = kernels_[which];
  if (Function function = compiled.function.load(std::memory_order_acquire)) {
    return function;
  }
  const std::lock_guard lock(compiling_);
  if (Function function = compiled.function.load(std::memory_order_acquire)) {
    return function;
  }
  if (!compiled.refused.empty()) {
    throw Unavailable(compiled.refused);
  }
  const char* name = kKernelNames[which];
  try {
    const std::vector<char> image = compile_kernel(name, major_, minor_, nvrtc_);
    const CaptureElsewhere allowed;
    Module module = nullptr;
    Function function = nullptr;
    if (driver().module_load(&module, image.data()) != kSuccess ||
        driver().module_function(&function, module, (std::string("mmhash_") + name).c_str()) != kSuccess) {
      throw Unavailable(
          "the CUDA driver did not accept what NVRTC compiled; is NVRTC newer than the driver?");
    }
    compiled.function.store(function, std::memory_order_release);
    return function;
  } catch (const Unavailable& unavailable) {
    compiled.refused = unavailable.what();
    throw;
  }
}

Slot* Device::acquire(std::size_t leaves, Stream stream) {
  if (Slot* slot = take(leaves)) {
    return slot;
  }
  return make(std::bit_ceil(std::max(leaves, kMinLeaves)), stream);
}

// The smallest that suffices: a large one is for a large tensor.
Slot* Device::take(std::size_t leaves) {
  const std::lock_guard lock(mutex_);
  std::erase_if(draining_, [&](Slot* slot) {
    const bool over = slot->done();
    if (over) {
      free_.push_back(slot);
    }
    return over;
  });
  auto best = free_.end();
  for (auto slot = free_.begin(); slot != free_.end(); ++slot) {
    if ((*slot)->leaves >= leaves && (best == free_.end() || (*slot)->leaves < (*best)->leaves)) {
      best = slot;
    }
  }
  if (best == free_.end()) {
    return nullptr;
  }
  std::swap(*best, free_.back());
  Slot* slot = free_.back();
  free_.pop_back();
  return slot;
}

Slot* Device::make(std::size_t leaves, Stream stream) {
  const CaptureElsewhere allowed;
  const Driver& cuda = driver();
  const std::size_t groups = groups_above(leaves);
  const std::size_t counters = rounded_up(sizeof(unsigned) * groups);
  DevicePointer scratch = 0;
  if (cuda.memory_allocate(&scratch, counters + 16 * (leaves + groups)) != kSuccess) {
    return nullptr;
  }
  void* host = nullptr;
  DevicePointer device_host = 0;
  if (cuda.host_allocate(&host, kLeafBytes + 64, kHostMapped) != kSuccess ||
      cuda.host_device_pointer(&device_host, host, 0) != kSuccess) {
    cuda.memory_free(scratch);
    return nullptr;
  }
  // On the stream of the launch that follows. Later ones leave the counters at zero.
  check(cuda.memory_set(scratch, 0, counters, stream), "cuMemsetD8Async");
  auto* slot = new Slot;
  slot->result = static_cast<unsigned char*>(host);
  slot->ready = reinterpret_cast<unsigned*>(slot->result + kLeafBytes);
  *slot->ready = 0;
  slot->device_result = device_host;
  slot->device_ready = device_host + kLeafBytes;
  slot->arrived = scratch;
  slot->digests = scratch + counters;
  slot->leaves = leaves;
  return slot;
}

void Device::release(Slot* slot) {
  const std::lock_guard lock(mutex_);
  (slot->done() ? free_ : draining_).push_back(slot);
}

}  // namespace mmhash::cuda
