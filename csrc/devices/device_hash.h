// The identities of tensors that are not in the CPU's memory: hashed where they are if their device has a
// backend, and otherwise copied to the host in pieces. Needs the GIL, and waits for the device without it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "devices/backend.h"
#include "intake/tensor_view.h"

namespace mmhash {

// `value` is what `view` was read from. Raises RuntimeError while a CUDA graph is being captured.
Digest device_digest(py::handle value, TensorView& view, const Algorithm& algorithm);

// A tensor whose hash has been started on its device. Holds its memory; made and destroyed with the GIL.
struct DeviceHash {
  Digest digest() const;  // once the fold is done

  std::unique_ptr<DeviceFold> fold;
  const Algorithm* algorithm = nullptr;
  py::object storage{};
  const Dtype* dtype = nullptr;
  std::vector<std::int64_t> shape{};
};

// Null if the tensor is on the host, is empty, or has to be copied to be hashed.
std::unique_ptr<DeviceHash> start_device_hash(py::handle value, TensorView& view, const Algorithm& algorithm);

// Does now what the first hashes of tensors on the device would do: compiles, loads and allocates. Nothing
// for an algorithm that the device does not fold; says once in the log if tensors have to be copied. Raises
// RuntimeError as start() of the backend.
void warm_up(Device device, const Algorithm& algorithm);

// How tensors on devices are hashed: the backend's path or "pinned_copy"; "none" until the first was seen.
// And why one had to be copied last, or "".
const char* device_path();
const std::string& device_path_reason();
// "auto" or "pinned_copy"; for tests. Throws std::invalid_argument.
void set_device_path(const std::string& name);

}  // namespace mmhash
