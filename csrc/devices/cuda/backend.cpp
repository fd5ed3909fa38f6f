#include "devices/cuda/backend.h"

#include <string_view>
#include <utility>

#include "devices/cuda/blake3/method.h"
#include "devices/cuda/launch.h"
#include "devices/cuda/xxh3/method.h"
#include "devices/python_side.h"
#include "intake/gil.h"
#include "intake/torch_names.h"

namespace mmhash::cuda {
namespace {

constexpr std::string_view kXxh3 = "xxh3", kBlake3 = "blake3";

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

template <class ItsMethod>
class CudaFold final : public DeviceFold {
 public:
  CudaFold(const ItsMethod& method, Launch&& launch) : method_(method), launch_(std::move(launch)) {}
  bool done() const override { return launch_.done(); }
  void wait() override { launch_.wait(); }
  std::size_t finish(std::byte* out) const override { return launch_.finish(method_, out); }
  std::uintptr_t stream() const override { return reinterpret_cast<std::uintptr_t>(launch_.stream()); }
  bool forked() const override { return cuda::forked(); }

 private:
  ItsMethod method_;
  Launch launch_;
};

template <class ItsMethod>
std::unique_ptr<DeviceFold> start_with(const ItsMethod& method, const Payload& payload, int index) {
  Device& device = opened(index);
  const Stream stream = current_stream(index);
  std::unique_ptr<DeviceFold> fold;
  without_gil([&] {
    if (auto launch = Launch::start(device, method, payload, stream)) {
      fold = std::make_unique<CudaFold<ItsMethod>>(method, std::move(*launch));
    }
  });
  return fold;
}

template <class ItsMethod>
void warm_up_with(const ItsMethod& method, int index) {
  Device& device = opened(index);
  without_gil([&] {
    const CurrentContext current(device.context());
    for (std::size_t i = 0; i < kAccesses; ++i) {
      const auto access = static_cast<Access>(i);
      device.kernel(method.family(), access, method.shared_bytes(access));
    }
  });
}

class CudaBackend final : public Backend {
 public:
  const char* path() const override { return "cuda_kernel"; }
  bool folds(const Algorithm& algorithm) const override {
    return algorithm.name == kXxh3 || algorithm.name == kBlake3;
  }
  std::unique_ptr<DeviceFold> start(const Payload& payload, int index, const Algorithm& algorithm) override {
    return algorithm.name == kBlake3 ? start_with(Blake3Method(algorithm.key()), payload, index)
                                     : start_with(Xxh3Method(), payload, index);
  }
  void warm_up(int index, const Algorithm& algorithm) override {
    algorithm.name == kBlake3 ? warm_up_with(Blake3Method(algorithm.key()), index)
                              : warm_up_with(Xxh3Method(), index);
  }
};

}  // namespace

Backend& backend() {
  static CudaBackend* const only = new CudaBackend;  // never destroyed: the interpreter may end after it
  return *only;
}

}  // namespace mmhash::cuda
