// numpy.ndarray and NumPy scalars -> TensorView, through the buffer protocol.
#include <string>
#include <string_view>

#include "intake/numpy_names.h"
#include "intake/tensor_view.h"

namespace mmhash {
namespace {

bool is_a(py::handle value, PyObject* type) {
  return PyObject_TypeCheck(value.ptr(), reinterpret_cast<PyTypeObject*>(type)) != 0;
}

// The dtype of a buffer whose format has one element, or null. NumPy writes the platform's own letters
// ('l' for int64), so the size decides among the integers. `swap` tells of big-endian memory.
const Dtype* format_dtype(std::string_view format, Py_ssize_t itemsize, bool& swap) {
  swap = !format.empty() && (format[0] == '>' || format[0] == '!');
  if (!format.empty() && std::string_view("@=<>!^").find(format[0]) != std::string_view::npos) {
    format.remove_prefix(1);
  }
  const auto sized = [&](const Dtype* one, const Dtype* two, const Dtype* four, const Dtype* eight) {
    return itemsize == 1 ? one : itemsize == 2 ? two : itemsize == 4 ? four : itemsize == 8 ? eight : nullptr;
  };
  if (format.size() == 1) {
    switch (format[0]) {
      case '?': return dtype_named("bool");
      case 'b':
      case 'h':
      case 'i':
      case 'l':
      case 'q':
        return sized(dtype_named("int8"), dtype_named("int16"), dtype_named("int32"), dtype_named("int64"));
      case 'B':
      case 'H':
      case 'I':
      case 'L':
      case 'Q':
        return sized(dtype_named("uint8"), dtype_named("uint16"), dtype_named("uint32"),
                     dtype_named("uint64"));
      case 'e': return dtype_named("float16");
      case 'f': return dtype_named("float32");
      case 'd': return dtype_named("float64");
      default: return nullptr;
    }
  }
  return format == "Zf" ? dtype_named("complex64") : format == "Zd" ? dtype_named("complex128") : nullptr;
}

[[noreturn]] void refuse_array(py::handle value) {
  const std::string dtype = dtype_text(value);
  const char* remedy = "convert it with .astype() to a dtype of identity v1";
  if (dtype == "object") {
    remedy =
        "its memory holds pointers, not values: use .tolist(), or stack the elements into a numeric array";
  }
  throw Unsupported{"a " + type_name(value) + " of dtype " + dtype, remedy};
}

// From the buffer that the view has acquired; `value` is what messages name.
void read_export(py::handle value, TensorView& view) {
  const Py_buffer& buffer = *view.buffer;
  const std::string_view format = buffer.format == nullptr ? "B" : buffer.format;
  const Dtype* dtype = format_dtype(format, buffer.itemsize, view.transform.swap_bytes);
  if (dtype == nullptr) {
    refuse_array(value);
  }
  static_assert(sizeof(Py_ssize_t) == sizeof(std::int64_t));
  view.data = buffer.buf;
  view.set_layout(*dtype, buffer.ndim, reinterpret_cast<const std::int64_t*>(buffer.shape),
                  reinterpret_cast<const std::int64_t*>(buffer.strides), 1);
}

// Dtypes that NumPy does not export as buffers: those of ml_dtypes are read as integers of their size and
// keep their name; datetime64 and the like are refused.
void read_extension_array(py::handle array, py::handle value, TensorView& view) {
  const py::object dtype = array.attr("dtype");
  const std::string name = py::str(dtype.attr("name"));
  const Dtype* known = find_dtype(name);
  if (known == nullptr) {
    refuse_array(value);
  }
  // NumPy's own method, whatever a subclass has in its place.
  const py::handle type(numpy_names.array);
  const std::string integer = "uint" + std::to_string(8 * known->itemsize);
  if (!view.buffer.acquire(type.attr("view")(array, integer, type), PyBUF_RECORDS_RO)) {
    throw py::error_already_set();
  }
  read_export(value, view);
  view.dtype = known;
  view.transform.swap_bytes = !py::cast<bool>(dtype.attr("isnative"));
}

// `array` is read; `value`, which it was made from, is what messages name.
void read_array(py::handle array, py::handle value, TensorView& view) {
  if (view.buffer.acquire(array, PyBUF_RECORDS_RO)) {
    return read_export(value, view);
  }
  if (!PyErr_ExceptionMatches(PyExc_ValueError) && !PyErr_ExceptionMatches(PyExc_TypeError) &&
      !PyErr_ExceptionMatches(PyExc_BufferError)) {
    throw py::error_already_set();
  }
  PyErr_Clear();
  read_extension_array(array, value, view);
}

}  // namespace

bool is_numpy_array(py::handle value) {
  return (numpy_names.array != nullptr || find_numpy_names()) && is_a(value, numpy_names.array);
}

namespace {

// As the interpreter ends, sys.modules is emptied while objects are still alive. A scalar whose library was
// not looked up before would count as the float or the buffer that it is besides.
void refuse_orphan(py::handle value) {
  const py::handle mro(Py_TYPE(value.ptr())->tp_mro);
  for (const py::handle base : py::reinterpret_borrow<py::tuple>(mro)) {
    if (std::string_view(reinterpret_cast<PyTypeObject*>(base.ptr())->tp_name) == "numpy.generic") {
      throw Unsupported{"a " + type_name(value) + " while numpy is not in sys.modules",
                        "hash it before the interpreter ends, or import numpy again"};
    }
  }
}

}  // namespace

bool read_numpy(py::handle value, TensorView& view) {
  if (numpy_names.array == nullptr && !find_numpy_names()) {
    refuse_orphan(value);
    return false;
  }
  if (is_a(value, numpy_names.array)) {
    const py::object masked = if_imported("numpy.ma", "MaskedArray");
    if (reinterpret_cast<PyObject*>(Py_TYPE(value.ptr())) != numpy_names.array && masked &&
        is_a(value, masked.ptr())) {
      throw Unsupported{"a " + type_name(value) + ", whose mask would be ignored",
                        "hash (a.data, a.mask), or a.filled()"};
    }
    read_array(value, value, view);
    return true;
  }
  // numpy.str_ and numpy.bytes_ are a str and a bytes, and counted as such.
  if (!is_a(value, numpy_names.generic) || PyUnicode_Check(value.ptr()) || PyBytes_Check(value.ptr())) {
    return false;
  }
  view.temporary = true;
  view.owner = py::handle(numpy_names.asarray)(value);
  read_array(view.owner, value, view);
  return true;
}

}  // namespace mmhash
