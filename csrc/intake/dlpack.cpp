// Whatever else has `__dlpack__` (JAX, CuPy, paddle, ...) -> TensorView.
#include "intake/attributes.h"
#include "intake/tensor_view.h"

namespace mmhash {
namespace {

void read_exported(const dlpack::Tensor& tensor, py::handle value, TensorView& view) {
  view.set_dlpack(tensor, value);
  if (tensor.data == nullptr && view.bytes() > 0) {
    throw Unsupported{"a " + type_name(value) + " whose memory was released",
                      "hash it before its storage is resized to 0"};
  }
}

// Asks for a versioned capsule, which may also export read-only arrays; producers from before 2023 do not
// know the argument.
py::object export_capsule(py::handle value) {
  const py::object method = value.attr("__dlpack__");
  try {
    return method(py::arg("max_version") = py::make_tuple(1, 3));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) {
      throw;
    }
  }
  return method();
}

}  // namespace

bool read_dlpack(py::handle value, TensorView& view) {
  // On the type, as for every special method: an instance attribute does not make a tensor.
  PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(value.ptr()));
  if (!find_attribute(type, "__dlpack__")) {
    return false;
  }
  // The capsule is not renamed, so it stays ours and its destructor frees the export.
  view.owner = export_capsule(value);
  PyObject* capsule = view.owner.ptr();
  if (PyCapsule_IsValid(capsule, "dltensor_versioned") != 0) {
    void* pointer = PyCapsule_GetPointer(capsule, "dltensor_versioned");
    const auto* managed = static_cast<const dlpack::ManagedTensorVersioned*>(pointer);
    if (managed->version.major != 1) {
      throw Unsupported{"a " + type_name(value) + " exported as DLPack " +
                            std::to_string(managed->version.major) + ", expected version 1",
                        "convert it to a NumPy array or a torch tensor"};
    }
    read_exported(managed->tensor, value, view);
  } else if (PyCapsule_IsValid(capsule, "dltensor") != 0) {
    void* pointer = PyCapsule_GetPointer(capsule, "dltensor");
    read_exported(static_cast<const dlpack::ManagedTensor*>(pointer)->tensor, value, view);
  } else {
    throw Unsupported{"a " + type_name(value) + " whose __dlpack__() gives no DLPack capsule but a " +
                          type_name(view.owner),
                      "convert it to a NumPy array or a torch tensor"};
  }
  return true;
}

}  // namespace mmhash
