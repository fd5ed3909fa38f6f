// torch.Tensor -> TensorView, with no libtorch linked, so that one wheel serves every version of torch.
//
// Three ways in, tried in this order and reported by info()["tensor_intake"]:
//   dlpack_c_exchange  torch >= 2.10: a table of C functions, looked up once on the type, that fills
//                      pointer, dtype, shape and strides in about 50 ns and borrows (.numpy() takes 560).
//   attributes         older torch: data_ptr(), dtype, shape, stride(); about a microsecond.
//   dlpack             __dlpack__(), the array standard's way. Never chosen by itself, since it refuses
//                      tensors that require grad; a test compares it with the others.
//
// The exchange call hands out the memory of a lazily conjugated or negated tensor as it stands, so the
// two bits are always asked for: is_neg() of every dtype, is_conj() of complex ones.
#include <stdexcept>
#include <vector>

#include "intake/attributes.h"
#include "intake/counters.h"
#include "intake/tensor_view.h"
#include "intake/torch_names.h"

namespace mmhash {
namespace {

enum class Intake { None, DlpackExchange, Attributes, Dlpack };

const char* name_of(Intake intake) {
  switch (intake) {
    case Intake::DlpackExchange: return "dlpack_c_exchange";
    case Intake::Attributes: return "attributes";
    case Intake::Dlpack: return "dlpack";
    default: return "none";
  }
}

Intake forced = Intake::None;

Intake intake_in_use() {
  if (forced != Intake::None) {
    return forced;
  }
  if (torch_names.exchange != nullptr) {
    return Intake::DlpackExchange;
  }
  return torch_names.tensor != nullptr ? Intake::Attributes : Intake::None;
}

const char* remedy_of_wrapper(const std::string& type) {
  if (type.ends_with(".NestedTensor")) {
    return "hash the list that .unbind() gives";
  }
  if (type.ends_with(".FakeTensor")) {
    return "it has no data: hash the real tensor";
  }
  if (type.ends_with(".MaskedTensor")) {
    return "hash (x.get_data(), x.get_mask())";
  }
  return "hash the plain tensor in it (such as .to_local() or .dequantize() gives)";
}

// A subclass whose __torch_dispatch__ does the work (FakeTensor, DTensor, quantized weights) holds its
// data elsewhere; the memory of the wrapper itself is none, or not the value.
void refuse_wrapper_subclass(py::handle value) {
  if (is_plain_torch_tensor(value)) {
    return;
  }
  const py::object dispatch = py::type::of(value).attr("__torch_dispatch__");
  if (dispatch.ptr() != torch_names.no_dispatch) {
    const std::string type = type_name(value);
    throw Unsupported{"a " + type + ", a tensor subclass with __torch_dispatch__", remedy_of_wrapper(type)};
  }
}

bool flag(py::handle value, PyObject* method) {
  return call_torch(method, value).ptr() == Py_True;
}

// Throws Unsupported if the tensor is one that has no identity; returns if nothing is known against it.
void refuse_without_memory(py::handle value) {
  const auto text = [&](const char* attribute) -> std::string {
    const py::object found = find_attribute(value, attribute);
    return found ? std::string(py::str(found)) : "unknown";
  };
  const auto is = [&](const char* attribute) {
    const py::object found = find_attribute(value, attribute);
    return found.ptr() == Py_True;
  };
  const std::string type = "a " + type_name(value);
  if (is("is_nested")) {
    throw Unsupported{type + " that is nested", "hash the list that .unbind() gives"};
  }
  if (is("is_quantized")) {
    throw Unsupported{type + " that is quantized", "hash .int_repr() with its scale and zero point"};
  }
  if (is("is_meta")) {
    throw Unsupported{type + " on the meta device, which has no data", "hash the real tensor"};
  }
  const std::string layout = text("layout");
  if (layout != "torch.strided" && layout != "unknown") {
    throw Unsupported{type + " of layout " + layout, "call .to_dense() first"};
  }
}

// A tensor whose memory is nowhere: says which of the kinds that torch has it is.
[[noreturn]] void refuse_null(py::handle value) {
  const std::string type = "a " + type_name(value);
  const auto is = [&](py::handle owner, const char* function, auto&&... argument) {
    const py::object found = find_attribute(owner, function, py::none());
    return !found.is_none() && py::object(found(argument...)).ptr() == Py_True;
  };
  const py::module_ module = py::module_::import("torch");
  if (is(value, "_is_zerotensor")) {
    throw Unsupported{type + " of zeros that are nowhere in memory", "hash its .clone()"};
  }
  if (is(module, "_is_functional_tensor", value)) {
    throw Unsupported{type + " within functionalize, which has no memory of its own",
                      "hash it outside of the transform"};
  }
  throw Unsupported{type + " whose memory was released, or that has none of its own",
                    "hash it before its storage is resized, and outside of vmap, grad and other transforms"};
}

// A lazy module's parameter has neither shape nor data, and torch raises ValueError of whatever it is asked.
bool is_uninitialized(py::handle value) {
  return static_cast<bool>(find_attribute(py::type::of(value), "materialize"));
}

[[noreturn]] void refuse_dtype(py::handle value) {
  throw Unsupported{"a " + type_name(value) + " of dtype " + dtype_text(value),
                    "convert it to a dtype of identity v1, or view its bytes as uint8"};
}

const Dtype& read_dtype(py::handle value) {
  PyObject* index = PyDict_GetItemWithError(torch_names.dtypes, py::object(value.attr("dtype")).ptr());
  if (index == nullptr) {
    refuse_dtype(value);
  }
  return kDtypes[PyLong_AsSize_t(index)];
}

// The data_ptr() of a tensor, or of its storage.
std::uintptr_t read_data_ptr(py::handle owner, py::handle value) {
  try {
    return py::cast<std::uintptr_t>(owner.attr("data_ptr")());
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_RuntimeError)) {
      throw;
    }
  }
  refuse_null(value);
}

Device read_device(py::handle value) {
  const py::object device = value.attr("device");
  if (std::string(py::str(device.attr("type"))) == "cpu") {
    return {};
  }
  const py::object index = device.attr("index");
  const int ordinal = index.is_none() ? 0 : py::cast<int>(index);
  if (!py::cast<bool>(value.attr("is_cuda"))) {
    return {Device::Type::Other, ordinal};
  }
  return {torch_names.rocm ? Device::Type::Rocm : Device::Type::Cuda, ordinal};
}

void read_by_attributes(py::handle value, TensorView& view) {
  count(counters.attributes);
  refuse_without_memory(value);
  const Dtype& dtype = read_dtype(value);
  const py::tuple shape = value.attr("shape");
  const py::tuple strides = value.attr("stride")();
  const std::size_t ndim = shape.size();
  std::vector<std::int64_t> extents(ndim), steps(ndim);
  for (std::size_t d = 0; d < ndim; ++d) {
    extents[d] = py::cast<std::int64_t>(shape[d]);
    steps[d] = py::cast<std::int64_t>(strides[d]);
  }
  view.set_layout(dtype, static_cast<int>(ndim), extents.data(), steps.data(), dtype.itemsize);
  view.device = read_device(value);
  if (view.device.has_addresses()) {
    view.data = reinterpret_cast<const void*>(read_data_ptr(value, value));
  }
}

// False if this tensor cannot be read this way; the attributes then tell why.
bool read_by_exchange(py::handle value, TensorView& view) {
  dlpack::Tensor tensor;
  if (torch_names.exchange->tensor_from_py_object_no_sync(value.ptr(), &tensor) != 0) {
    PyErr_Clear();
    return false;
  }
  view.set_dlpack(tensor, value);
  if (tensor.data == nullptr && view.bytes() > 0) {
    refuse_null(value);
  }
  if (view.dtype->itemsize == 1 && view.dtype->element_class == ElementClass::Integer) {
    // torch exports its uint1 to uint7 and int1 to int7 as if they were uint8 and int8.
    view.dtype = &read_dtype(value);
  }
  return true;
}

}  // namespace

bool is_torch_tensor(py::handle value) {
  PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(value.ptr()));
  if (type == torch_names.tensor && type != nullptr) {
    return true;
  }
  if (torch_names.tensor == nullptr && !find_torch_names()) {
    return false;
  }
  return PyObject_TypeCheck(value.ptr(), reinterpret_cast<PyTypeObject*>(torch_names.tensor)) != 0;
}

namespace {

void read_memory(py::handle value, Intake intake, TensorView& view) {
  if (intake != Intake::DlpackExchange || !read_by_exchange(value, view)) {
    read_by_attributes(value, view);
    hold_memory(value, view);  // other threads may have run between the attributes
  }
}

}  // namespace

bool is_plain_torch_tensor(py::handle value) {
  PyObject* type = reinterpret_cast<PyObject*>(Py_TYPE(value.ptr()));
  return type != nullptr && (type == torch_names.tensor || type == torch_names.parameter);
}

bool read_torch(py::handle value, TensorView& view) {
  if (!is_torch_tensor(value)) {
    return false;
  }
  refuse_wrapper_subclass(value);
  const Intake intake = intake_in_use();
  if (intake == Intake::Dlpack) {
    const py::object plain = value.attr("detach")().attr("resolve_conj")().attr("resolve_neg")();
    view.temporary = true;
    return read_dlpack(plain, view);
  }
  // Before the address is read: torch's methods release the GIL, and from the address to the end of the hash
  // (or to hold_storage) no other thread may run, since it could assign `.data`.
  bool negate = false;
  try {
    negate = flag(value, torch_names.is_neg);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError) || !is_uninitialized(value)) {
      throw;
    }
    throw Unsupported{"a " + type_name(value) + ", which has neither shape nor data yet",
                      "call its lazy module once, or .materialize(shape)"};
  }
  read_memory(value, intake, view);
  if (view.dtype->element_class == ElementClass::Complex) {
    view.transform.conjugate = flag(value, torch_names.is_conj);
    read_memory(value, intake, view);
  }
  view.transform.negate = negate;
  if (negate && (view.dtype->element_class == ElementClass::Bool || view.dtype->name.starts_with("float8"))) {
    throw Unsupported{"a " + type_name(value) + " of dtype " + dtype_text(value) +
                          " with the negative bit, which torch itself cannot resolve",
                      "hash the tensor that it is a view of"};
  }
  if (view.device.is_host() && view.bytes() > 0) {
    // A released storage is null, and a view of it null plus an offset, which is no address of a heap.
    if (reinterpret_cast<std::uintptr_t>(view.data) < (std::uintptr_t{1} << 32)) {
      hold_memory(value, view);
    }
  }
  return true;
}

// Keeps the memory of a torch tensor in place while the GIL is released: another thread may drop the last
// reference or assign `.data`. Also refuses a tensor that its storage no longer holds, since
// `untyped_storage().resize_()` shrinks without a word. (A resize in another thread *during* the call is a
// data race in torch itself, and stays one.)
void hold_storage(py::handle value, TensorView& view) {
  view.owner = value.attr("untyped_storage")();
  if (view.bytes() == 0) {
    return;
  }
  const std::uintptr_t begin = read_data_ptr(view.owner, value);
  const auto size = py::cast<std::uintptr_t>(view.owner.attr("nbytes")());
  const auto [first, behind] = view.extent();
  if (first < begin || behind > begin + size) {
    throw Unsupported{
        "a " + type_name(value) + " that reaches beyond its storage of " + std::to_string(size) + " bytes",
        "hash it before its storage is resized"};
  }
}

const char* torch_intake() {
  return name_of(intake_in_use());
}

void set_torch_intake(const std::string& name) {
  if (torch_names.tensor == nullptr && !find_torch_names()) {
    throw std::invalid_argument("torch was not imported yet: import it before choosing its intake");
  }
  if (name == "auto") {
    forced = Intake::None;
    return;
  }
  for (const Intake intake : {Intake::DlpackExchange, Intake::Attributes, Intake::Dlpack}) {
    if (name == name_of(intake) && (intake != Intake::DlpackExchange || torch_names.exchange != nullptr)) {
      forced = intake;
      return;
    }
  }
  throw std::invalid_argument(
      "unknown or unavailable tensor intake '" + name +
      "'; valid: 'auto', 'dlpack_c_exchange' (torch >= 2.10), 'attributes', 'dlpack'");
}

}  // namespace mmhash
