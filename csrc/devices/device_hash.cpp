#include "devices/device_hash.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "identity/frame.h"
#include "intake/counters.h"
#include "intake/gil.h"
#include "intake/torch_names.h"

namespace mmhash {
namespace {

// All guarded by the GIL.
enum class Path { None, CudaKernel, PinnedCopy };
Path path = Path::None;
bool copies_forced = false;

std::string& reason() {
  static std::string* const text = new std::string;  // never destroyed: the interpreter may end after it
  return *text;
}

// torch's current stream of a device. What the caching allocator hands out is used in its order.
cuda::Stream current_stream(int device) {
  const auto stream = call_torch(torch_names.current_raw_stream, py::int_(device));
  return reinterpret_cast<cuda::Stream>(PyLong_AsVoidPtr(stream.ptr()));
}

cuda::Device& opened(int ordinal) {
  if (cuda::Device* device = cuda::Device::find(ordinal)) {
    return *device;
  }
  std::vector<std::string> libraries;
  for (const py::handle library : py::module_::import("mmhash._device").attr("nvrtc_libraries")()) {
    libraries.push_back(py::cast<std::string>(library));
  }
  cuda::Device* device = nullptr;
  without_gil([&] { device = &cuda::Device::open(ordinal, libraries); });
  return *device;
}

void note_unavailable(const char* what) {
  path = Path::PinnedCopy;
  if (reason() != what) {
    reason() = what;
    py::module_::import("mmhash._device").attr("warn_of_copies")(what);
  }
}

bool is_empty(const TensorView& view) {
  return view.bytes() == 0;
}

// Calls `go(device, payload, stream)` without the GIL, which enqueues the hash or returns nothing. False if
// the tensor has to be copied.
template <typename F>
bool on_gpu(py::handle value, TensorView& view, const Algorithm& algorithm, F go) {
  if (!cuda::Launch::folds(algorithm) || !view.device.is_cuda() || view.temporary || copies_forced ||
      !is_torch_tensor(value)) {
    return false;
  }
  try {
    if (!view.owner) {
      hold_storage(value, view);  // from here on other threads may run
    }
    cuda::Device& device = opened(view.device.index);
    const cuda::Stream stream = current_stream(view.device.index);
    const Payload payload = view.payload();
    bool started = false;
    without_gil([&] { started = go(device, payload, stream); });
    if (started && !payload.in_place()) {
      count(counters.gathered);
    }
    path = Path::CudaKernel;
    return started;
  } catch (const cuda::Unavailable& unavailable) {
    note_unavailable(unavailable.what());
    return false;
  }
}

Digest copied_digest(const py::object& tensor, const Algorithm& algorithm) {
  count(counters.device_copies);
  if (path == Path::None && copies_forced) {
    path = Path::PinnedCopy;
  }
  // The one place that calls up into Python: a device's memory is the framework's business.
  const std::string bytes = py::cast<py::bytes>(
      py::module_::import("mmhash._device").attr("identity")(tensor, std::string(algorithm.name)));
  Digest digest{};
  std::copy_n(bytes.begin(), algorithm.digest_bytes, digest.begin());
  return digest;
}

Digest frame_digest(const Algorithm& algorithm, const Dtype& dtype, std::span<const std::int64_t> shape,
                    std::span<const std::byte> folded) {
  Frame frame(dtype, shape);
  frame.raw(folded.data(), folded.size());
  return frame.digest(algorithm);
}

Digest torch_digest(const py::object& tensor, TensorView& view, const Algorithm& algorithm) {
  if (is_empty(view)) {
    return frame_digest(algorithm, *view.dtype, view.shape(), {});
  }
  Digest digest;
  const bool hashed =
      on_gpu(tensor, view, algorithm, [&](cuda::Device& device, const Payload& payload, cuda::Stream stream) {
        auto launch = cuda::Launch::start(device, payload, stream);
        if (launch) {
          launch->wait();
          digest = frame_digest(algorithm, *view.dtype, view.shape(), launch->folded());
        }
        return launch.has_value();
      });
  return hashed ? digest : copied_digest(tensor, algorithm);
}

}  // namespace

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
  if (is_empty(view)) {
    return nullptr;
  }
  std::unique_ptr<DeviceHash> hash;
  on_gpu(value, view, algorithm, [&](cuda::Device& device, const Payload& payload, cuda::Stream stream) {
    auto launch = cuda::Launch::start(device, payload, stream);
    if (launch) {
      hash = std::make_unique<DeviceHash>(std::move(*launch), algorithm);
    }
    return launch.has_value();
  });
  if (hash) {
    hash->storage = view.owner;
    hash->dtype = view.dtype;
    hash->shape.assign(view.shape().begin(), view.shape().end());
  }
  return hash;
}

Digest DeviceHash::digest() const {
  return frame_digest(algorithm, *dtype, shape, launch.folded());
}

const char* device_path() {
  switch (path) {
    case Path::CudaKernel: return "cuda_kernel";
    case Path::PinnedCopy: return "pinned_copy";
    default: return "none";
  }
}

const std::string& device_path_reason() {
  return reason();
}

void set_device_path(const std::string& name) {
  if (name != "auto" && name != "pinned_copy") {
    throw std::invalid_argument("unknown device path '" + name + "'; valid: 'auto', 'pinned_copy'");
  }
  copies_forced = name == "pinned_copy";
}

}  // namespace mmhash
