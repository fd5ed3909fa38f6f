#include "devices/cuda/device.h"

#include <pthread.h>

#include <algorithm>
#include <bit>

#include "devices/cuda/job.h"
#include "devices/cuda/xxh3/grid.h"

// Devices and slots are never freed: launches may be under way, and other threads hash, until the process
// ends.

namespace mmhash::cuda {
namespace {

constexpr int kMaxDevices = 64;
constexpr std::size_t kMinLeaves = 2048;  // of a slot: payloads up to 16 MiB, in 33 KiB of the GPU's memory
constexpr std::size_t kChunkBytes = 2 << 20;  // that slots are made of: the unit of cuMemAlloc
constexpr std::size_t kHostBytes = kLeafBytes + 64;

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

// Out of memory is a state of the moment and not remembered; all else says what the device or driver lacks.
void need(Result result, const std::string& failure) {
  if (result == kOutOfMemory) {
    throw OutOfMemory();
  }
  if (result != kSuccess) {
    throw Unavailable(failure);
  }
}

}  // namespace

bool forked() {
  return in_child.load(std::memory_order_relaxed);
}

Device* Device::find(int ordinal) {
  if (ordinal < 0 || ordinal >= kMaxDevices) {
    throw Unavailable("device " + std::to_string(ordinal) + " is beyond the 64 that are supported");
  }
  if (forked()) {
    throw std::runtime_error(
        "cannot hash a CUDA tensor in a process that was forked after its parent hashed on the GPU: CUDA "
        "does not work behind fork(); start the process by multiprocessing's \"spawn\" or \"forkserver\", "
        "or hash the tensor in the parent");
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
  } catch (const OutOfMemory&) {
    throw;
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
  need(driver().primary_context_retain(&context_, device), "the GPU's primary context cannot be had");
  const CurrentContext current(context_);
  const Result created = driver().stream_create(&stream_, kStreamNonBlocking);
  if (created == kOutOfMemory) {
    throw OutOfMemory();
  }
  check(created, "cuStreamCreate");
  try {
    kernel(Family::kXxh3, Access::kAligned, 0);  // if NVRTC is missing, it is known from the start
  } catch (const OutOfMemory&) {                 // compiled, and loaded by the first launch that can
  }
  make(kMinLeaves);
}

Function Device::kernel(Family family, Access access, unsigned shared_bytes) {
  Compiled& compiled = kernels_[static_cast<std::size_t>(family)][static_cast<std::size_t>(access)];
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
  try {
    if (compiled.image.empty()) {
      compiled.image = compile_kernel(family, access, major_, minor_, nvrtc_);
    }
    return load(compiled, kernel_name(family, access), shared_bytes);
  } catch (const OutOfMemory&) {
    throw;
  } catch (const Unavailable& unavailable) {
    compiled.refused = unavailable.what();
    throw;
  }
}

Function Device::load(Compiled& compiled, const std::string& name, unsigned shared_bytes) {
  constexpr const char* kNotAccepted =
      "the CUDA driver did not accept what NVRTC compiled; is NVRTC newer than the driver?";
  const CaptureElsewhere allowed;
  Function function = nullptr;
  if (compiled.module == nullptr) {
    need(driver().module_load(&compiled.module, compiled.image.data()), kNotAccepted);
  }
  // Lazy loading: the driver may take the memory only now.
  need(driver().module_function(&function, compiled.module, name.c_str()), kNotAccepted);
  need(driver().function_attribute(function, kMaxDynamicShared, static_cast<int>(shared_bytes)),
       "the GPU has no " + std::to_string(shared_bytes) + " bytes of shared memory for a block of " + name);
  compiled.image = {};
  compiled.function.store(function, std::memory_order_release);
  return function;
}

Slot* Device::acquire(std::size_t leaves) {
  Slot* slot = take(leaves);
  if (slot == nullptr && make(std::bit_ceil(std::max(leaves, kMinLeaves)))) {
    slot = take(leaves);
  }
  return slot;
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

// Many at a time, and as many again as there are: CUDA waits for what is running before it hands out memory.
bool Device::make(std::size_t leaves) {
  const CaptureElsewhere allowed;
  const Driver& cuda = driver();
  const std::size_t groups = groups_above(leaves);
  const std::size_t counters = rounded_up(sizeof(unsigned) * groups);
  const std::size_t scratch_bytes = counters + rounded_up(16 * (leaves + groups));
  std::size_t count = std::max<std::size_t>(1, kChunkBytes / scratch_bytes);
  std::size_t& alike = made_[static_cast<std::size_t>(std::bit_width(leaves))];
  {
    const std::lock_guard lock(mutex_);
    count = std::max(count, alike);
  }
  DevicePointer scratch = 0;
  if (cuda.memory_allocate(&scratch, count * scratch_bytes) != kSuccess) {
    count = 1;  // this hash only
    if (cuda.memory_allocate(&scratch, scratch_bytes) != kSuccess) {
      return false;
    }
  }
  void* host = nullptr;
  DevicePointer device_host = 0;
  if (cuda.host_allocate(&host, count * kHostBytes, kHostMapped) != kSuccess ||
      cuda.host_device_pointer(&device_host, host, 0) != kSuccess) {
    cuda.memory_free(scratch);
    return false;
  }
  // Over before any launch that uses them, on whichever stream. Each launch leaves its counters at zero.
  check(cuda.memory_set(scratch, 0, count * scratch_bytes, stream_), "cuMemsetD8Async");
  check(cuda.stream_synchronize(stream_), "cuStreamSynchronize");
  std::vector<Slot*> made;
  for (std::size_t i = 0; i < count; ++i) {
    auto* slot = new Slot;
    slot->result = static_cast<unsigned char*>(host) + i * kHostBytes;
    slot->ready = reinterpret_cast<unsigned*>(slot->result + kLeafBytes);
    *slot->ready = 0;
    slot->device_result = device_host + i * kHostBytes;
    slot->device_ready = slot->device_result + kLeafBytes;
    slot->arrived = scratch + i * scratch_bytes;
    slot->digests = slot->arrived + counters;
    slot->leaves = leaves;
    made.push_back(slot);
  }
  const std::lock_guard lock(mutex_);
  alike += count;
  slots_ += count;
  free_.reserve(slots_);
  draining_.reserve(slots_);
  free_.insert(free_.end(), made.begin(), made.end());
  return true;
}

void Device::check_health() const {
  const CurrentContext current(context_);
  const CaptureElsewhere allowed;
  check(driver().stream_query(stream_), "a kernel on the device");
}

void Device::release(Slot* slot) {
  const std::lock_guard lock(mutex_);
  (slot->done() ? free_ : draining_).push_back(slot);
}

}  // namespace mmhash::cuda
