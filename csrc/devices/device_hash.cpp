#include "devices/device_hash.h"

#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "devices/cuda/backend.h"
#include "devices/python_side.h"
#include "identity/frame.h"
#include "intake/counters.h"
#include "intake/gil.h"

namespace mmhash {
namespace {

// All guarded by the GIL.
constexpr const char* kNone = "none";
constexpr const char* kPinnedCopy = "pinned_copy";
const char* path = kNone;
bool copies_forced = false;

std::string& reason() {
  static std::string* const text = new std::string;  // never destroyed: the interpreter may end after it
  return *text;
}

void note_unavailable(const char* what) {
  static auto* const warned = new std::set<std::string>;  // never destroyed either
  path = kPinnedCopy;
  reason() = what;
  if (warned->insert(what).second) {
    python_side::warn_of_copies(what);
  }
}

// Null if the tensor has to be copied.
std::unique_ptr<DeviceFold> start_fold(py::handle value, TensorView& view, const Algorithm& algorithm) {
  Backend* backend = backend_of(view.device);
  if (backend == nullptr || !backend->folds(algorithm) || view.temporary || copies_forced ||
      !is_torch_tensor(value)) {
    return nullptr;
  }
  try {
    if (!view.owner) {
      hold_storage(value, view);  // from here on other threads may run
    }
    const Payload payload = view.payload();
    std::unique_ptr<DeviceFold> fold = backend->start(payload, view.device.index, algorithm);
    if (fold && !payload.in_place()) {
      count(counters.gathered);
    }
    path = backend->path();
    return fold;
  } catch (const Unavailable& unavailable) {
    note_unavailable(unavailable.what());
    return nullptr;
  }
}

Digest copied_digest(const py::object& tensor, const Algorithm& algorithm) {
  count(counters.device_copies);
  if (path == kNone && copies_forced) {
    path = kPinnedCopy;
  }
  return python_side::copied_identity(tensor, algorithm);
}

Digest frame_digest(const Algorithm& algorithm, const Dtype& dtype, std::span<const std::int64_t> shape,
                    const DeviceFold& fold) {
  Frame frame(dtype, shape);
  frame.append([&](std::byte* out) { return fold.finish(out); });
  return frame.digest(algorithm);
}

Digest torch_digest(const py::object& tensor, TensorView& view, const Algorithm& algorithm) {
  if (view.bytes() == 0) {
    return Frame(*view.dtype, view.shape()).digest(algorithm);
  }
  const std::unique_ptr<DeviceFold> fold = start_fold(tensor, view, algorithm);
  if (!fold) {
    return copied_digest(tensor, algorithm);
  }
  without_gil([&] { fold->wait(); });
  return frame_digest(algorithm, *view.dtype, view.shape(), *fold);
}

}  // namespace

Backend* backend_of(Device device) {
  return device.is_cuda() ? &cuda::backend() : nullptr;
}

Digest device_digest(py::handle value, TensorView& view, const Algorithm& algorithm) {
  if (is_torch_tensor(value)) {
    return torch_digest(py::reinterpret_borrow<py::object>(value), view, algorithm);
  }
  py::object tensor;
  try {
    tensor = py::module_::import("torch").attr("from_dlpack")(value);
  } catch (py::error_already_set& error) {
    throw Unsupported{"a " + type_name(value) + " on a device that torch cannot read here (" +
                          std::string(py::str(error.value())) + ")",
                      "copy it to the CPU first"};
  }
  TensorView taken_over;
  read_torch(tensor, taken_over);
  return torch_digest(tensor, taken_over, algorithm);
}

std::unique_ptr<DeviceHash> start_device_hash(py::handle value, TensorView& view,
                                              const Algorithm& algorithm) {
  if (view.bytes() == 0) {
    return nullptr;
  }
  std::unique_ptr<DeviceFold> fold = start_fold(value, view, algorithm);
  if (!fold) {
    return nullptr;
  }
  auto hash = std::make_unique<DeviceHash>();
  hash->fold = std::move(fold);
  hash->algorithm = &algorithm;
  hash->storage = view.owner;
  hash->dtype = view.dtype;
  hash->shape.assign(view.shape().begin(), view.shape().end());
  return hash;
}

void warm_up(Device device, const Algorithm& algorithm) {
  Backend* backend = backend_of(device);
  if (backend == nullptr || !backend->folds(algorithm) || copies_forced) {
    return;
  }
  try {
    backend->warm_up(device.index, algorithm);
  } catch (const Unavailable& unavailable) {
    note_unavailable(unavailable.what());
  }
}

Digest DeviceHash::digest() const {
  return frame_digest(*algorithm, *dtype, shape, *fold);
}

const char* device_path() {
  return path;
}

const std::string& device_path_reason() {
  return reason();
}

void set_device_path(const std::string& name) {
  if (name != "auto" && name != kPinnedCopy) {
    throw std::invalid_argument("unknown device path '" + name + "'; valid: 'auto', 'pinned_copy'");
  }
  copies_forced = name == kPinnedCopy;
}

}  // namespace mmhash
