// The one table of what is looked up in torch, by whoever asks torch something: intake, cache and devices.
// Descriptors of its types, since a call of one costs 20 ns less than looking the name up again. Needs the
// GIL.
#pragma once

#include <pybind11/pybind11.h>

#include "intake/dlpack_abi.h"

namespace mmhash {

namespace py = pybind11;

// Strong references that are never released: a type object that was freed could come back as another type at
// the same address. All null until some code has imported torch and a value was asked whether it is a tensor.
// What an older torch lacks stays null.
struct TorchNames {
  PyObject* tensor = nullptr;       // torch.Tensor
  PyObject* parameter = nullptr;    // torch.nn.Parameter
  PyObject* no_dispatch = nullptr;  // torch.Tensor.__torch_dispatch__, which a wrapper subclass overrides
  PyObject* dtypes = nullptr;       // dict: torch.dtype -> index in kDtypes
  const dlpack::ExchangeApi* exchange = nullptr;  // torch >= 2.10
  bool rocm = false;                              // what this torch calls "cuda" is ROCm

  // Methods and properties of torch.Tensor.
  PyObject* detach = nullptr;
  PyObject* is_conj = nullptr;
  PyObject* is_inference = nullptr;
  PyObject* is_neg = nullptr;
  PyObject* is_pinned = nullptr;
  PyObject* untyped_storage = nullptr;
  PyObject* version = nullptr;

  // Methods of torch.UntypedStorage.
  PyObject* is_shared = nullptr;
  PyObject* resizable = nullptr;
  PyObject* storage_is_pinned = nullptr;

  PyObject* current_raw_stream = nullptr;  // torch._C: the stream of a device's ordinal; null without CUDA
};

extern TorchNames torch_names;

// Fills the table. False as long as nobody has imported torch (or it is still being imported).
bool find_torch_names();

[[noreturn]] void refuse_older_torch();

// object.method(), or the function with one argument. Throws what it raises, and AttributeError for one that
// this torch has not.
inline py::object call_torch(PyObject* method, py::handle object) {
  if (method == nullptr) {
    refuse_older_torch();
  }
  PyObject* arguments[] = {object.ptr()};
  PyObject* result = PyObject_Vectorcall(method, arguments, 1, nullptr);
  if (result == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(result);
}

}  // namespace mmhash
