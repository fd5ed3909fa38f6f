#include "values/text.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "identity/frame.h"
#include "intake/gil.h"
#include "values/payloads.h"

namespace mmhash {
namespace {

// From so many characters on, UTF-8 is made piece by piece. CPython would keep its own in the str, for as
// long as that lives, and hold the GIL meanwhile.
constexpr Py_ssize_t kLongText = Py_ssize_t{64} << 10;

bool is_ascii(py::handle text) {
#if PY_VERSION_HEX < 0x030c0000
  if (PyUnicode_READY(text.ptr()) != 0) {
    throw py::error_already_set();
  }
#endif
  return PyUnicode_IS_ASCII(text.ptr()) != 0;
}

template <typename Unit>
std::size_t utf8_size(const Unit* text, std::size_t count) {
  std::size_t size = count;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t code = text[i];
    size += std::size_t{code >= 0x80} + std::size_t{code >= 0x800} + std::size_t{code >= 0x10000};
  }
  return size;
}

// UTF-8, in which a lone surrogate is three bytes like its neighbours ("surrogatepass"). Returns the end.
template <typename Unit>
std::byte* encode_utf8(const Unit* text, std::size_t count, std::byte* out) {
  const auto put = [&out](std::uint32_t byte) { *out++ = static_cast<std::byte>(byte); };
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t code = text[i];
    if (code < 0x80) {
      put(code);
      continue;
    }
    if (code < 0x800) {
      put(0xc0 | code >> 6);
    } else {
      if (code < 0x10000) {
        put(0xe0 | code >> 12);
      } else {
        put(0xf0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3f));
      }
      put(0x80 | (code >> 6 & 0x3f));
    }
    put(0x80 | (code & 0x3f));
  }
  return out;
}

template <typename Unit>
Digest hash_long_text(const Algorithm& algorithm, const Unit* text, std::size_t length) {
  constexpr std::size_t kPiece = std::size_t{256} << 10;  // characters: about 1 ms
  std::size_t size = 0, begin = 0;
  // A str does not change, and the caller keeps it.
  const auto each_piece = [&](auto f) {
    begin = 0;
    in_slices(algorithm.needs_gil, [&](Deadline deadline) {
      while (begin < length) {
        const std::size_t count = std::min(kPiece, length - begin);
        f(text + begin, count);
        begin += count;
        if (std::chrono::steady_clock::now() >= deadline) {
          break;
        }
      }
      return begin == length;
    });
  };
  each_piece([&](const Unit* piece, std::size_t count) { size += utf8_size(piece, count); });
  const auto frame = std::make_unique<Frame>('S');
  frame->u64(size);
  const auto fold = algorithm.start_fold(size);
  std::vector<std::byte> utf8(4 * std::min(kPiece, length));
  each_piece([&](const Unit* piece, std::size_t count) {
    const std::byte* end = encode_utf8(piece, count, utf8.data());
    fold->update(utf8.data(), static_cast<std::size_t>(end - utf8.data()));
  });
  return frame->digest(algorithm, *fold);
}

Digest hash_long_text(const Algorithm& algorithm, py::handle value) {
  const auto length = static_cast<std::size_t>(PyUnicode_GET_LENGTH(value.ptr()));
  switch (PyUnicode_KIND(value.ptr())) {
    case PyUnicode_1BYTE_KIND: return hash_long_text(algorithm, PyUnicode_1BYTE_DATA(value.ptr()), length);
    case PyUnicode_2BYTE_KIND: return hash_long_text(algorithm, PyUnicode_2BYTE_DATA(value.ptr()), length);
    default: return hash_long_text(algorithm, PyUnicode_4BYTE_DATA(value.ptr()), length);
  }
}

}  // namespace

Digest hash_str(const Algorithm& algorithm, py::handle value) {
  if (PyUnicode_GET_LENGTH(value.ptr()) >= kLongText && !is_ascii(value)) {
    return hash_long_text(algorithm, value);
  }
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

}  // namespace mmhash
