#include "values/leaf.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/lookup.h"
#include "devices/device_hash.h"
#include "identity/frame.h"
#include "intake/counters.h"
#include "intake/gil.h"
#include "intake/tensor_view.h"

// Memory that changes while it is hashed
// --------------------------------------
// The payload is read once, without a lock, and without the GIL where it is large. Another thread that
// writes into it meanwhile makes the digest that of some mixture, as it would for any reader; nothing
// else happens, since no control flow depends on the payload. What must not happen is that the memory
// goes away. Buffers are held by their export (a bytearray then refuses to be resized), DLPack capsules
// by a reference, torch storages by hold_storage(). Lists and mappings are walked in a snapshot that
// holds its elements, because another thread may change the container whenever the GIL is released, and
// so may any method of an element that the walk calls.

namespace mmhash {
namespace {

// Without the GIL if hashing takes long enough for others to notice.
Digest digest_of(const Algorithm& algorithm, Frame& frame, const Payload& payload) {
  if (payload.size() < kGilReleaseBytes) {
    return frame.digest(algorithm, payload);
  }
  Digest digest;
  without_gil([&] { digest = frame.digest(algorithm, payload); });
  return digest;
}

Digest tensor_digest(py::handle value, TensorView& view, const Algorithm& algorithm) {
  if (!view.device.is_host()) {
    return device_digest(value, view, algorithm);
  }
  if (view.bytes() >= kHoldBytes) {
    hold_memory(value, view);
  }
  Frame frame(*view.dtype, view.shape());
  const Payload payload = view.payload();
  if (!payload.in_place()) {
    count(counters.gathered);
  }
  return digest_of(algorithm, frame, payload);
}

// Out of line, like all that needs a frame or a view on the stack: the walk itself stays small.
bool hash_tensor(py::handle value, Digest& digest, const Options& options) {
  TensorView view;
  if (!read_tensor(value, view)) {
    return false;
  }
  const auto compute = [&] { return tensor_digest(value, view, options.algorithm); };
  digest = options.use_cache ? through_cache(value, view, options.algorithm, compute) : compute();
  return true;
}

Digest hash_bytes(const Algorithm& algorithm, char kind, const Payload& payload) {
  Frame frame(kind);
  frame.u64(payload.size());
  return digest_of(algorithm, frame, payload);
}

Digest hash_int(const Algorithm& algorithm, py::handle value) {
  int overflow = 0;
  const long long small = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (overflow == 0) {
    if (small == -1 && PyErr_Occurred() != nullptr) {
      throw py::error_already_set();
    }
    const auto bits = static_cast<unsigned long long>(small);
    const unsigned long long magnitude = small < 0 ? 0 - bits : bits;
    const int bit_length = magnitude == 0 ? 0 : 64 - __builtin_clzll(magnitude);
    SmallFrame frame('I');
    frame.raw(&small, std::min(sizeof small, static_cast<std::size_t>(bit_length) / 8 + 1));
    if (bit_length == 64) {
      frame.byte(small < 0 ? 0xff : 0x00);  // the sign stands in a ninth byte
    }
    return frame.digest(algorithm);
  }
  // Through the type, since a subclass may override its methods.
  const py::handle type(reinterpret_cast<PyObject*>(&PyLong_Type));
  const std::size_t size = py::cast<std::size_t>(type.attr("bit_length")(value)) / 8 + 1;
  const std::string bytes = py::bytes(type.attr("to_bytes")(value, size, "little", py::arg("signed") = true));
  return hash_frame(algorithm, 'I', std::as_bytes(std::span(bytes)), {});
}

void append_number(SmallFrame& frame, double number) {
  if (std::isnan(number)) {
    frame.u64(0x7ff8000000000000u);  // one NaN for all
  } else {
    frame.raw(&number, sizeof number);
  }
}

Digest hash_float(const Algorithm& algorithm, double number) {
  SmallFrame frame('F');
  append_number(frame, number);
  return frame.digest(algorithm);
}

Digest hash_complex(const Algorithm& algorithm, Py_complex number) {
  SmallFrame frame('C');
  append_number(frame, number.real);
  append_number(frame, number.imag);
  return frame.digest(algorithm);
}

Digest hash_str(const Algorithm& algorithm, py::handle value) {
  Py_ssize_t size = 0;
  if (const char* text = PyUnicode_AsUTF8AndSize(value.ptr(), &size)) {
    return hash_bytes(algorithm, 'S', Payload(text, static_cast<std::size_t>(size)));
  }
  if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
    throw py::error_already_set();
  }
  PyErr_Clear();  // lone surrogates
  const auto encoded =
      py::reinterpret_steal<py::bytes>(PyUnicode_AsEncodedString(value.ptr(), "utf-8", "surrogatepass"));
  if (!encoded) {
    throw py::error_already_set();
  }
  const std::string_view bytes = encoded;
  return hash_bytes(algorithm, 'S', Payload(bytes.data(), bytes.size()));
}

Digest hash_bool(const Algorithm& algorithm, bool value) {
  SmallFrame frame('B');
  frame.byte(value ? 1 : 0);
  return frame.digest(algorithm);
}

// The kinds that are no tensors and have no parts, in the order of docs/SPEC.md. False if the value has parts
// or is of no kind.
bool hash_scalar(py::handle value, Digest& digest, const Algorithm& algorithm) {
  PyObject* object = value.ptr();
  if (object == Py_None) {
    digest = SmallFrame('N').digest(algorithm);
  } else if (PyBool_Check(object)) {
    digest = hash_bool(algorithm, object == Py_True);
  } else if (PyLong_Check(object)) {
    digest = hash_int(algorithm, value);
  } else if (PyFloat_Check(object)) {
    digest = hash_float(algorithm, PyFloat_AS_DOUBLE(object));
  } else if (PyComplex_Check(object)) {
    digest = hash_complex(algorithm, PyComplex_AsCComplex(object));
  } else if (PyUnicode_Check(object)) {
    digest = hash_str(algorithm, value);
  } else {
    return false;
  }
  return true;
}

bool is_plain(py::handle value) {
  PyTypeObject* type = Py_TYPE(value.ptr());
  return value.is_none() || type == &PyBool_Type || type == &PyLong_Type || type == &PyFloat_Type ||
         type == &PyComplex_Type || type == &PyUnicode_Type;
}

bool is_plain_container(py::handle value) {
  PyTypeObject* type = Py_TYPE(value.ptr());
  return type == &PyList_Type || type == &PyTuple_Type || type == &PyDict_Type;
}

bool is_plain_buffer(py::handle value) {
  PyTypeObject* type = Py_TYPE(value.ptr());
  return type == &PyBytes_Type || type == &PyByteArray_Type || type == &PyMemoryView_Type;
}

}  // namespace

bool hash_leaf(py::handle value, Digest& digest, const Options& options) {
  // The exact built-in types can be of no other kind, so most of the questions are not asked of them.
  if (is_plain(value)) {
    return hash_scalar(value, digest, options.algorithm);
  }
  if (is_plain_buffer(value)) {
    return hash_buffer(value, digest, options);
  }
  if (!is_plain_container(value) && hash_tensor(value, digest, options)) {
    return true;
  }
  return hash_scalar(value, digest, options.algorithm);
}

bool hash_buffer(py::handle value, Digest& digest, const Options& options) {
  TensorView view;
  if (!read_buffer(value, view)) {
    return false;
  }
  const auto compute = [&] { return hash_bytes(options.algorithm, 'Y', view.payload()); };
  digest = options.use_cache ? through_cache(value, view, options.algorithm, compute) : compute();
  return true;
}

Digest identity_from_pieces(const Algorithm& algorithm, const std::string& dtype_name, const py::tuple& shape,
                            const py::iterable& pieces) {
  const Dtype* dtype = find_dtype(dtype_name);
  if (dtype == nullptr) {
    throw py::value_error("identity v1 has no dtype named '" + dtype_name + "'");
  }
  std::vector<std::int64_t> extents;
  for (const py::handle extent : shape) {
    extents.push_back(py::cast<std::int64_t>(extent));
  }
  std::size_t size = 0;
  if (extents.size() > kMaxDims || !checked_size(extents, dtype->itemsize, size)) {
    throw py::value_error("expected at most 255 dimensions, none negative, of at most 2**63 bytes");
  }
  const std::unique_ptr<Fold> fold = algorithm.start_fold(size);
  for (const py::handle piece : pieces) {
    TensorView view;
    if (!read_tensor(piece, view) && !read_buffer(piece, view)) {
      throw py::type_error("expected an iterable of tensors or buffers, found a " + type_name(piece));
    }
    const Payload payload = view.payload();
    if (!payload.in_place()) {
      throw py::value_error("expected contiguous pieces");
    }
    without_gil([&] { fold->update(payload.data(), payload.size()); });
  }
  return Frame(*dtype, extents).digest(algorithm, *fold);
}

}  // namespace mmhash
