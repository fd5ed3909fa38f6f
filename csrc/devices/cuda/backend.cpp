#include "devices/cuda/backend.h"

#include <utility>

#include "devices/cuda/launch.h"
#include "devices/python_side.h"
#include "intake/gil.h"
#include "intake/torch_names.h"

namespace mmhash::cuda {
namespace {

// torch's current stream of a device. What the caching allocator hands out is used in its order.
Stream current_stream(int index) {
  const auto stream = call_torch(torch_names.current_raw_stream, py::int_(index));
  return reinterpret_cast<Stream>(PyLong_AsVoidPtr(stream.ptr()));
}

cuda::Device& opened(int index) {
  if (Device* device = Device::find(index)) {
    return *device;
  }
  const std::vector<std::string> libraries = python_side::nvrtc_libraries();
  Device* device = nullptr;
  without_gil([&] { device = &Device::open(index, libraries); });
  return *device;
}

class CudaFold final : public DeviceFold {
 public:
  explicit CudaFold(Launch&& launch) : launch_(std::move(launch)) {}
  bool done() const override { return launch_.done(); }
  void wait() override { launch_.wait(); }
  std::span<const std::byte> folded() const override { return launch_.folded(); }
  std::uintptr_t stream() const override { return reinterpret_cast<std::uintptr_t>(launch_.stream()); }
  bool forked() const override { return cuda::forked(); }

 private:
  Launch launch_;
};

class CudaBackend final : public Backend {
 public:
  const char* path() const override { return "cuda_kernel"; }
  bool folds(const Algorithm& algorithm) const override { return &algorithm == &xxh3(); }
  std::unique_ptr<DeviceFold> start(const Payload& payload, int index) override {
    Device& device = opened(index);
    const Stream stream = current_stream(index);
    std::unique_ptr<DeviceFold> fold;
    without_gil([&] {
      if (auto launch = Launch::start(device, payload, stream)) {
        fold = std::make_unique<CudaFold>(std::move(*launch));
      }
    });
    return fold;
  }
};

}  // namespace

Backend& backend() {
  static CudaBackend* const only = new CudaBackend;  // never destroyed: the interpreter may end after it
  return *only;
}

}  // namespace mmhash::cuda
