#include "cuda/launch.h"

#include <chrono>
#include <utility>

#include "cuda/job.h"
#include "cuda/strided.h"

namespace mmhash::cuda {
namespace {

// How long to look at the ticket before asking the driver, which takes several microseconds to answer when
// the kernel is over. cuStreamSynchronize would spin too.
constexpr std::chrono::microseconds kSpin{2000};

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

// The size of tree(payload).
std::size_t folded_size(std::size_t size) {
  while (size > kLeafBytes) {
    size = (size + kLeafBytes - 1) / kLeafBytes * (kLeafBytes / kFanIn);
  }
  return size;
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
  const Function kernel = device.kernel(!payload.in_place() ? Device::kStrided
                                        : aligned           ? Device::kAligned
                                                            : Device::kUnaligned);
  const std::size_t leaves = (payload.size() + kLeafBytes - 1) / kLeafBytes;
  Slot* slot = device.acquire(leaves, stream);
  if (slot == nullptr) {
    return std::nullopt;
  }
  ++slot->ticket;
  Job job{reinterpret_cast<const unsigned char*>(payload.data()),
          payload.size(),
          reinterpret_cast<unsigned char*>(slot->digests),
          reinterpret_cast<unsigned*>(slot->arrived),
          reinterpret_cast<unsigned char*>(slot->device_result),
          reinterpret_cast<unsigned*>(slot->device_ready),
          slot->ticket};
  // Few leaves are spread over all multiprocessors; many come in blocks, which the GPU starts faster.
  const unsigned warps = leaves <= kWarpsPerBlock * device.multiprocessors() ? 1 : kWarpsPerBlock;
  void* parameters[] = {&job, &layout};
  const Result launched = driver().launch(kernel, static_cast<unsigned>((leaves + warps - 1) / warps), 1, 1,
                                          32 * warps, 1, 1, 0, stream, parameters, nullptr);
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
      folded_(other.folded_),
      has_event_(other.has_event_) {}

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

void Launch::record_event() {
  const CurrentContext current(device_->context());
  const CaptureElsewhere allowed;
  if (slot_->event == nullptr) {
    check(driver().event_create(&slot_->event, kEventBlocking), "cuEventCreate");
  }
  check(driver().event_record(slot_->event, stream_), "cuEventRecord");
  has_event_ = true;
}

void Launch::wait() {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  for (unsigned i = 1; !done(); ++i) {
    pause_cpu();
    if (i % 64 == 0 && std::chrono::steady_clock::now() > end) {
      break;
    }
  }
  if (done()) {
    return;
  }
  const CurrentContext current(device_->context());
  const CaptureElsewhere allowed;
  if (has_event_) {
    check(driver().event_synchronize(slot_->event), "cuEventSynchronize");
  } else {
    check(driver().stream_synchronize(stream_), "cuStreamSynchronize");
  }
  if (!done()) {
    throw std::runtime_error("hashing on the GPU failed: the kernel ended without a result");
  }
}

}  // namespace mmhash::cuda
