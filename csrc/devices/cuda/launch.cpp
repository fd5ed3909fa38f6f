#include "devices/cuda/launch.h"

#include <chrono>
#include <thread>
#include <utility>

#include "devices/cuda/job.h"
#include "devices/cuda/strided.h"
#include "identity/tree.h"

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

static_assert(kLeafBytes == mmhash::kLeafBytes && kFanIn * sizeof(Xxh3Digest) == kLeafBytes);

// The size of tree(payload).
std::size_t folded_size(std::size_t size) {
  while (size > kLeafBytes) {
    size = (size + kLeafBytes - 1) / kLeafBytes * (kLeafBytes / kFanIn);
  }
  return size;
}

// One leaf a warp while all of them fit on the GPU at once, else two, for half as many arrivals: on an H100
// 67 MB take 35.9 instead of 37.7 us, 537 MB 197 instead of 208; four and more gain nothing, and lose in
// between.
unsigned rounds_for(std::size_t leaves, unsigned multiprocessors) {
  return leaves <= std::size_t{kWarpsPerBlock} * kBlocksPerProcessor * multiprocessors ? 1 : 2;
}

}  // namespace

std::optional<Launch> Launch::start(Device& device, const Payload& payload, Stream stream) {
  Strided layout;
  if (!payload.in_place() && !describe(payload, layout)) {
    return std::nullopt;
  }
  const CurrentContext current(device.context());
  refuse_capture(stream);
  const bool aligned = reinterpret_cast<std::uintptr_t>(payload.data()) % 16 == 0;
  const Function kernel = device.kernel(!payload.in_place()   ? Device::kStrided
                                        : !payload.verbatim() ? Device::kBools
                                        : aligned             ? Device::kAligned
                                                              : Device::kUnaligned);
  const std::size_t leaves = (payload.size() + kLeafBytes - 1) / kLeafBytes;
  Slot* slot = device.acquire(leaves);
  if (slot == nullptr) {
    return std::nullopt;
  }
  ++slot->ticket;
  const unsigned warps = leaves == 1 ? 1 : kWarpsPerBlock;
  const unsigned rounds = rounds_for(leaves, device.multiprocessors());
  const std::size_t per_block = warps * rounds;
  Job job{reinterpret_cast<const unsigned char*>(payload.data()),
          payload.size(),
          rounds,
          reinterpret_cast<unsigned char*>(slot->digests),
          reinterpret_cast<unsigned*>(slot->arrived),
          reinterpret_cast<unsigned char*>(slot->device_result),
          reinterpret_cast<unsigned*>(slot->device_ready),
          slot->ticket};
  void* parameters[] = {&job, &layout};
  const Result launched = driver().launch(kernel, static_cast<unsigned>((leaves + per_block - 1) / per_block),
                                          1, 1, 32 * warps, 1, 1, 0, stream, parameters, nullptr);
  if (launched != kSuccess) {
    --slot->ticket;
    device.release(slot);
    check(launched, "cuLaunchKernel");
  }
  return Launch(device, slot, stream, folded_size(payload.size()));
}

Launch::Launch(Launch&& other) noexcept
    : device_(other.device_),
      slot_(std::exchange(other.slot_, nullptr)),
      stream_(other.stream_),
      folded_(other.folded_) {}

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
