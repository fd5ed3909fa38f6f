// The bytes of whatever has the buffer protocol and is no array -> TensorView.
#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "intake/tensor_view.h"

namespace mmhash {
namespace {

// True if the format's elements are addresses, whose bytes say nothing about the value.
bool holds_addresses(std::string_view format) {
  bool in_name = false;  // ":name:" within a structure
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if (c == ':') {
      in_name = !in_name;
    } else if (!in_name) {
      const bool complex = c == 'Z' && i + 1 < format.size() && std::strchr("fdg", format[i + 1]) != nullptr;
      if (std::strchr("OPX&z", c) != nullptr || (c == 'Z' && !complex)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

bool read_buffer(py::handle value, TensorView& view) {
  // numpy.str_ exports its UCS-4 memory, but is a str.
  if (!PyObject_CheckBuffer(value.ptr()) || PyUnicode_Check(value.ptr())) {
    return false;
  }
  if (!view.buffer.acquire(value, PyBUF_RECORDS_RO)) {
    throw py::error_already_set();
  }
  const Py_buffer& buffer = *view.buffer;
  if (buffer.format != nullptr && holds_addresses(buffer.format)) {
    throw Unsupported{
        "a " + type_name(value) + " of format '" + buffer.format + "', whose elements are addresses",
        "hash the values they point to"};
  }
  // ctypes says "B" of unions and of packed structures, which may hold addresses.
  if (buffer.format != nullptr && std::string_view(buffer.format) == "B" && buffer.itemsize != 1) {
    throw Unsupported{"a " + type_name(value) + ", a union or packed structure of " +
                          std::to_string(buffer.itemsize) + " bytes that does not say what it holds",
                      "hash bytes(value), or its fields"};
  }
  // As bytes: one more dimension, within the element.
  std::int64_t shape[PyBUF_MAX_NDIM + 1];
  std::int64_t strides[PyBUF_MAX_NDIM + 1];
  std::copy_n(buffer.shape, buffer.ndim, shape);
  if (buffer.strides != nullptr) {
    std::copy_n(buffer.strides, buffer.ndim, strides);
  } else {  // ctypes fills in none, asked for or not: the memory is C-contiguous then
    std::int64_t step = buffer.itemsize;
    for (int d = buffer.ndim - 1; d >= 0; --d) {
      strides[d] = step;
      step *= shape[d];
    }
  }
  shape[buffer.ndim] = buffer.itemsize;
  strides[buffer.ndim] = 1;
  view.data = buffer.buf;
  view.set_layout(*dtype_named("uint8"), buffer.ndim + 1, shape, strides, 1);
  return true;
}

}  // namespace mmhash
