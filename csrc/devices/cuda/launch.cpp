#include "devices/cuda/launch.h"

#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "devices/cuda/strided.h"

namespace mmhash::cuda {
namespace {

// Waiting is looking at the ticket, which the kernel writes: cuStreamSynchronize takes several microseconds
// to notice the end of a kernel, and waits for what was enqueued behind it too; an event that can be waited
// for costs 30 us where interrupts are dear (a virtual machine). Like cuStreamSynchronize this first spins,
// for as long as hashing 6 GB takes; then there is other work before it on the stream, and it sleeps in
// between. The driver is asked only whether there was an error, in which case the ticket never comes.
constexpr std::chrono::microseconds kSpin{2000}, kSleep{50};
constexpr unsigned kSleepsUntilCheck = 200;

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void refuse_capture(Stream stream) {
  int status = kNotCapturing;
  const Result result = driver().stream_capture(stream, &status);
  if (result != kCaptureImplicit) {
    check(result, "cuStreamIsCapturing");
  }
  if (result == kCaptureImplicit || status != kNotCapturing) {
    throw std::runtime_error(
        "cannot hash a CUDA tensor while a CUDA graph is being captured: the digest would wait for work that "
        "does not run now; hash it before or after the capture");
  }
}

Access access_to(const Payload& payload) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(payload.data()) % 16 == 0;
  return !payload.in_place()   ? Access::kStrided
         : !payload.verbatim() ? Access::kBools
         : aligned             ? Access::kAligned
                               : Access::kUnaligned;
}

}  // namespace

std::optional<Launch> Launch::start(Device& device, const Method& method, const Payload& payload,
                                    Stream stream) {
  Strided layout;
  if (!payload.in_place() && !describe(payload, layout)) {
    return std::nullopt;
  }
  const CurrentContext current(device.context());
  refuse_capture(stream);
  const Access access = access_to(payload);
  const unsigned shared_bytes = method.shared_bytes(access);
  const Function kernel = device.kernel(method.family(), access, shared_bytes);
  const std::size_t size = payload.size();
  Slot* slot = device.acquire((size + kLeafBytes - 1) / kLeafBytes);
  if (slot == nullptr) {
    throw OutOfMemory();
  }
  ++slot->ticket;
  const Grid grid = size <= kLeafBytes ? Grid{1, 32, 1} : method.grid(size, device.multiprocessors());
  const Job job{reinterpret_cast<const unsigned char*>(payload.data()),
                size,
                grid.rounds,
                reinterpret_cast<unsigned char*>(slot->digests),
                reinterpret_cast<unsigned*>(slot->arrived),
                reinterpret_cast<unsigned char*>(slot->device_result),
                reinterpret_cast<unsigned*>(slot->device_ready),
                slot->ticket};
  const Result launched = method.launch({kernel, grid, shared_bytes, stream}, job, layout);
  if (launched != kSuccess) {
    --slot->ticket;
    device.release(slot);
    check(launched, "cuLaunchKernel");
  }
  return Launch(device, slot, stream, size, grid);
}

Launch::Launch(Launch&& other) noexcept
    : device_(other.device_),
      slot_(std::exchange(other.slot_, nullptr)),
      stream_(other.stream_),
      size_(other.size_),
      grid_(other.grid_) {}

std::size_t Launch::finish(const Method& method, std::byte* out) const {
  if (size_ > kLeafBytes) {
    return method.finish(slot_->result, size_, grid_, out);
  }
  std::memcpy(out, slot_->result, size_);
  return size_;
}

Launch::~Launch() {
  if (slot_ != nullptr && !forked()) {
    device_->release(slot_);
  }
}

bool Launch::done() const {
  if (forked()) {
    throw std::runtime_error("this hash was started on the GPU before fork(): read it in the parent process");
  }
  return slot_->done();
}

void Launch::wait() {
  const auto begin = std::chrono::steady_clock::now();
  for (unsigned i = 1; !done(); ++i) {
    pause_cpu();
    if (i % 64 == 0 && std::chrono::steady_clock::now() - begin > kSpin) {
      break;
    }
  }
  for (unsigned i = 1; !done(); ++i) {
    std::this_thread::sleep_for(kSleep);
    if (i % kSleepsUntilCheck == 0 && !done()) {
      device_->check_health();
    }
  }
}

}  // namespace mmhash::cuda
