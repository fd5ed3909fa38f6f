#include "intake/torch_names.h"

#include <string>

#include "identity/dtype.h"
#include "intake/attributes.h"
#include "intake/tensor_view.h"

namespace mmhash {

TorchNames torch_names;

namespace {

PyObject* kept(const py::object& object) {
  return py::object(object).release().ptr();
}

// Null if this torch has no such attribute.
PyObject* lookup(py::handle owner, const char* name) {
  return find_attribute(owner, name, py::object()).release().ptr();
}

const dlpack::ExchangeApi* find_exchange_api(py::handle tensor_type) {
  const py::object capsule = find_attribute(tensor_type, "__dlpack_c_exchange_api__", py::none());
  if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) {
    return nullptr;
  }
  void* pointer = PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api");
  const auto* api = static_cast<const dlpack::ExchangeApi*>(pointer);
  // Another major version has another layout, and the function may be absent.
  const bool usable = api->version.major == 1 && api->tensor_from_py_object_no_sync != nullptr;
  return usable ? api : nullptr;
}

py::dict find_dtypes(py::handle module, py::handle dtype_type) {
  py::dict dtypes;
  for (std::size_t i = 0; i < kDtypes.size(); ++i) {
    const py::object dtype = find_attribute(module, std::string(kDtypes[i].name).c_str(), py::none());
    if (py::isinstance(dtype, dtype_type)) {  // older torch lacks some
      dtypes[dtype] = py::int_(i);
    }
  }
  return dtypes;
}

}  // namespace

bool find_torch_names() {
  const py::object tensor = if_imported("torch", "Tensor");
  if (!tensor) {
    return false;  // the usual case: one question
  }
  const py::object parameter = if_imported("torch.nn", "Parameter");
  const py::object dtype_type = if_imported("torch", "dtype");
  // A mock that stands in for torch in somebody's tests is not torch: the real one may come later.
  const auto is_type = [](const py::object& object) { return object && PyType_Check(object.ptr()) != 0; };
  if (!is_type(tensor) || !is_type(parameter) || !is_type(dtype_type)) {
    return false;
  }
  for (const char* needed : {"__torch_dispatch__", "detach", "is_conj", "is_neg"}) {
    if (!find_attribute(tensor, needed)) {
      return false;
    }
  }
  const py::module_ module = py::module_::import("torch");
  TorchNames found;
  found.no_dispatch = kept(tensor.attr("__torch_dispatch__"));
  found.dtypes = kept(find_dtypes(module, dtype_type));
  found.exchange = find_exchange_api(tensor);
  const py::object version = find_attribute(module, "version", py::none());
  found.rocm = !find_attribute(version, "hip", py::none()).is_none();

  found.detach = kept(tensor.attr("detach"));
  found.is_conj = kept(tensor.attr("is_conj"));
  found.is_inference = lookup(tensor, "is_inference");
  found.is_neg = kept(tensor.attr("is_neg"));
  found.is_pinned = lookup(tensor, "is_pinned");
  found.untyped_storage = lookup(tensor, "untyped_storage");
  found.version = lookup(tensor, "_version");

  const py::object storage = find_attribute(module, "UntypedStorage", py::none());
  found.is_shared = lookup(storage, "is_shared");
  found.resizable = lookup(storage, "resizable");
  found.storage_is_pinned = lookup(storage, "is_pinned");

  const py::object extension = find_attribute(module, "_C", py::none());
  found.current_raw_stream = lookup(extension, "_cuda_getCurrentRawStream");

  found.parameter = kept(parameter);
  found.tensor = kept(tensor);
  torch_names = found;
  return true;
}

void refuse_older_torch() {
  throw py::attribute_error("this torch lacks a method that mmhash asks for; expected torch 2.0 or newer");
}

}  // namespace mmhash
