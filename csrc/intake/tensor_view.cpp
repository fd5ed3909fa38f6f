#include "intake/tensor_view.h"

#include <algorithm>

#include "intake/attributes.h"

namespace mmhash {
namespace {

struct DlpackType {
  std::uint8_t code, bits;
  const Dtype* dtype;
};

// DLDataTypeCode of dlpack.h 1.3, with the widths that identity v1 knows of each.
constexpr DlpackType kDlpackTypes[] = {
    {2, 32, find_dtype("float32")},
    {4, 16, find_dtype("bfloat16")},
    {2, 16, find_dtype("float16")},
    {1, 8, find_dtype("uint8")},
    {0, 64, find_dtype("int64")},
    {0, 32, find_dtype("int32")},
    {2, 64, find_dtype("float64")},
    {6, 8, find_dtype("bool")},
    {0, 8, find_dtype("int8")},
    {0, 16, find_dtype("int16")},
    {1, 16, find_dtype("uint16")},
    {1, 32, find_dtype("uint32")},
    {1, 64, find_dtype("uint64")},
    {5, 64, find_dtype("complex64")},
    {5, 128, find_dtype("complex128")},
    {10, 8, find_dtype("float8_e4m3fn")},
    {11, 8, find_dtype("float8_e4m3fnuz")},
    {12, 8, find_dtype("float8_e5m2")},
    {13, 8, find_dtype("float8_e5m2fnuz")},
    {14, 8, find_dtype("float8_e8m0fnu")},
};

const Dtype* dlpack_dtype(dlpack::DataType type) {
  for (const DlpackType& known : kDlpackTypes) {
    if (known.code == type.code && known.bits == type.bits && type.lanes == 1) {
      return known.dtype;
    }
  }
  return nullptr;
}

}  // namespace

void TensorView::set_layout(const Dtype& type, int ndim, const std::int64_t* shape,
                            const std::int64_t* strides, std::int64_t stride_unit) {
  if (ndim < 0 || std::any_of(shape, shape + ndim, [](std::int64_t n) { return n < 0; })) {
    throw Unsupported{"a tensor with a negative dimension or number of dimensions", "export it anew"};
  }
  if (ndim > kMaxDims) {
    throw Unsupported{"a tensor of " + std::to_string(ndim) + " dimensions",
                      "identity v1 has at most 255: reshape it"};
  }
  dtype = &type;
  ndim_ = ndim;
  std::copy_n(shape, ndim, shape_);
  if (!checked_size(this->shape(), type.itemsize, bytes_)) {
    throw Unsupported{"a tensor of more than 2**63 bytes", "hash it in parts"};
  }
  const bool empty = bytes_ == 0;
  std::int64_t dense = type.itemsize;  // fits, as the size does
  for (int d = ndim - 1; d >= 0; --d) {
    if (empty || shape[d] == 1) {
      strides_[d] = 0;  // whatever it was means nothing, and scaling it might overflow
    } else if (strides != nullptr) {
      strides_[d] = strides[d] * stride_unit;
    } else {
      strides_[d] = dense;
      dense *= shape[d];
    }
  }
}

std::pair<std::uintptr_t, std::uintptr_t> TensorView::extent() const {
  const auto first = reinterpret_cast<std::uintptr_t>(data);
  if (bytes_ == 0) {
    return {first, first};
  }
  std::uintptr_t begin = first, end = first + dtype->itemsize;
  for (int d = 0; d < ndim_; ++d) {
    const std::int64_t reach = (shape_[d] - 1) * strides_[d];
    (reach < 0 ? begin : end) += static_cast<std::uintptr_t>(reach);
  }
  return {begin, end};
}

void TensorView::set_dlpack(const dlpack::Tensor& tensor, py::handle value) {
  const Dtype* type = dlpack_dtype(tensor.dtype);
  if (type == nullptr) {
    throw Unsupported{"a " + type_name(value) + " of dtype " + dtype_text(value),
                      "convert it to a dtype of identity v1, or view its bytes as uint8"};
  }
  set_layout(*type, tensor.ndim, tensor.shape, tensor.strides, type->itemsize);
  data = static_cast<const std::byte*>(tensor.data) + tensor.byte_offset;
  device = Device::of(tensor.device);
}

std::string type_name(py::handle value) {
  const py::handle type(reinterpret_cast<PyObject*>(Py_TYPE(value.ptr())));
  try {
    const std::string module = py::str(type.attr("__module__"));
    const std::string name = py::str(type.attr("__qualname__"));
    return module == "builtins" ? name : module + "." + name;
  } catch (py::error_already_set& error) {
    if (error.matches(PyExc_MemoryError)) {
      throw;
    }
    return Py_TYPE(value.ptr())->tp_name;
  }
}

std::string dtype_text(py::handle value) {
  try {
    return py::str(value.attr("dtype"));
  } catch (py::error_already_set& error) {
    if (error.matches(PyExc_MemoryError)) {
      throw;
    }
    return "unknown";
  }
}

py::object if_imported(const char* module, const char* attribute) {
  const py::object found = find_item(PyImport_GetModuleDict(), module);
  // A module that is being imported just now may not have the attribute yet.
  return found ? find_attribute(found, attribute) : py::object();
}

}  // namespace mmhash
