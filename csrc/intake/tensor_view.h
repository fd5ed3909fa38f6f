// The room intake: any Python tensor, array or buffer -> a view: pointer, device, dtype, shape, strides and
// who keeps the memory. It knows Python, with the GIL, and the frameworks whose objects it reads; copies no
// element. What is done with the memory (hashing, caching, other devices) belongs above; what needs no
// Python, below.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>
#include <string>

#include "identity/layout.h"
#include "intake/device.h"
#include "intake/dlpack_abi.h"

namespace mmhash {

namespace py = pybind11;

// A value that has no identity. The walk adds where in the value it stands and raises TypeError.
struct Unsupported {
  std::string what;    // "a torch.Tensor of layout torch.sparse_coo"
  std::string remedy;  // "call .to_dense() first"
};

// A buffer export, released with the GIL held.
class BufferExport {
 public:
  BufferExport() = default;
  BufferExport(const BufferExport&) = delete;
  BufferExport& operator=(const BufferExport&) = delete;
  ~BufferExport() {
    if (held_) {
      PyBuffer_Release(&view_);
    }
  }
  // False, with a Python exception set, if the object exports none.
  bool acquire(py::handle value, int flags) {
    held_ = PyObject_GetBuffer(value.ptr(), &view_, flags) == 0;
    return held_;
  }
  const Py_buffer& operator*() const { return view_; }
  const Py_buffer* operator->() const { return &view_; }

 private:
  Py_buffer view_;
  bool held_ = false;
};

// While it lives, the memory it describes stays where it is: it holds the buffer export, the capsule or
// the storage (see hold_storage in intake/torch.cpp for when).
class TensorView {
 public:
  const Dtype* dtype = nullptr;
  const void* data = nullptr;
  Transform transform{};
  Device device{};         // if it is not the host, `data` is not to be read
  bool temporary = false;  // the memory is a copy made for this view

  std::span<const std::int64_t> shape() const { return {shape_, static_cast<std::size_t>(ndim_)}; }
  std::span<const std::int64_t> strides() const { return {strides_, static_cast<std::size_t>(ndim_)}; }
  std::size_t bytes() const { return bytes_; }
  Payload payload() const { return {data, *dtype, shape(), strides(), transform}; }

  // Fill in shape and strides (in units of `stride_unit` bytes; null for row-major), then the size.
  // Throw Unsupported for more than kMaxDims dimensions, or if the size does not fit in 63 bits.
  void set_layout(const Dtype& dtype, int ndim, const std::int64_t* shape, const std::int64_t* strides,
                  std::int64_t stride_unit);
  // From a DLPack tensor, with its device.
  void set_dlpack(const dlpack::Tensor& tensor, py::handle value);

  BufferExport buffer;
  py::object owner;

 private:
  std::size_t bytes_ = 0;
  int ndim_ = 0;
  std::int64_t shape_[kMaxDims];
  std::int64_t strides_[kMaxDims];
};

// Each intake answers false if the value is not of its kind, fills the view if it is, and throws
// Unsupported if it is and has no identity, or error_already_set for what Python code raised.
bool read_torch(py::handle value, TensorView& view);   // torch.Tensor: intake/torch.cpp
bool read_numpy(py::handle value, TensorView& view);   // numpy.ndarray, numpy.generic: intake/numpy.cpp
bool read_dlpack(py::handle value, TensorView& view);  // whatever else has __dlpack__: intake/dlpack.cpp

// The three in the order of their cost.
inline bool read_tensor(py::handle value, TensorView& view) {
  return read_torch(value, view) || read_numpy(value, view) || read_dlpack(value, view);
}

// Keeps the memory of a torch tensor in place from now on. Other views hold theirs already. To be called
// before the GIL is released, be it by one of torch's own methods.
void hold_storage(py::handle value, TensorView& view);
bool is_torch_tensor(py::handle value);
bool is_plain_torch_tensor(py::handle value);  // a torch.Tensor or a Parameter, of no subclass
bool is_numpy_array(py::handle value);

// From this size on the storage is asked whether it still holds the tensor, for 0.3 us. A smaller block is
// one of the heap's, where a storage that was shrunk, but not released, makes us read a neighbour and not
// crash.
inline constexpr std::size_t kHoldBytes = std::size_t{64} << 10;

inline void hold_memory(py::handle value, TensorView& view) {
  if (is_torch_tensor(value) && view.device.has_addresses() && !view.owner) {
    hold_storage(value, view);
  }
}

// The bytes of any object with the buffer protocol, in C order, as a view of unsigned integers:
// intake/buffer.cpp.
bool read_buffer(py::handle value, TensorView& view);

// How torch tensors are read: see intake/torch.cpp. "none" until one was seen.
const char* torch_intake();
// "auto", "dlpack_c_exchange", "dlpack" or "attributes"; for tests. Throws std::invalid_argument.
void set_torch_intake(const std::string& name);

// "numpy.ndarray": the module and the name of the value's type, for messages.
std::string type_name(py::handle value);
// The text of its dtype attribute, likewise.
std::string dtype_text(py::handle value);

// An attribute of a module that some other code has imported; null if it was not imported. What mmhash
// was not given cannot be of that type, so mmhash imports none of numpy, torch and PIL itself.
py::object if_imported(const char* module, const char* attribute);

}  // namespace mmhash
