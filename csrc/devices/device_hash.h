// The identities of tensors that are not in the CPU's memory: hashed where they are if that is a CUDA device
// (csrc/devices/cuda), and otherwise copied to the host in pieces (mmhash/_device.py). Needs the GIL, and
// waits for the device without it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "devices/cuda/launch.h"
#include "identity/algorithm.h"
#include "intake/tensor_view.h"

namespace mmhash {

// `value` is what `view` was read from. Raises RuntimeError while a CUDA graph is being captured.
Digest device_digest(py::handle value, TensorView& view, const Algorithm& algorithm);

// A tensor on a CUDA device whose hash has been enqueued. Holds its memory; made and destroyed with the GIL.
struct DeviceHash {
  DeviceHash(cuda::Launch&& started, const Algorithm& used) : launch(std::move(started)), algorithm(used) {}
  Digest digest() const;  // once the launch is done

  cuda::Launch launch;
  const Algorithm& algorithm;
  py::object storage{};
  const Dtype* dtype = nullptr;
  std::vector<std::int64_t> shape{};
};

// Null if the tensor is not on a CUDA device, is empty, or has to be copied to be hashed.
std::unique_ptr<DeviceHash> start_device_hash(py::handle value, TensorView& view, const Algorithm& algorithm);

// How CUDA tensors are hashed: "cuda_kernel" or "pinned_copy"; "none" until the first was seen. And why they
// have to be copied, or "".
const char* device_path();
const std::string& device_path_reason();
// "auto" or "pinned_copy"; for tests. Throws std::invalid_argument.
void set_device_path(const std::string& name);

}  // namespace mmhash
