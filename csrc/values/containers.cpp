#include "values/containers.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <utility>

#include "identity/frame.h"
#include "intake/tensor_view.h"
#include "values/images.h"
#include "values/payloads.h"

namespace mmhash {
namespace {

PyObject* mapping_type = nullptr;  // collections.abc.Mapping

std::vector<std::byte> count_header(std::uint64_t count) {
  const auto* first = reinterpret_cast<const std::byte*>(&count);
  return {first, first + sizeof count};
}

// In place, the pairs of a key's and its value's identity, by their bytes.
template <std::size_t kDigestBytes>
void sort_entries(std::vector<std::byte>& identities, Turns& turns) {
  using Entry = std::array<std::byte, 2 * kDigestBytes>;
  static_assert(alignof(Entry) == 1);
  const std::span entries(reinterpret_cast<Entry*>(identities.data()), identities.size() / sizeof(Entry));
  std::sort(entries.begin(), entries.end(), [&turns](const Entry& a, const Entry& b) {
    turns.step();
    return std::memcmp(a.data(), b.data(), sizeof(Entry)) < 0;
  });
}

// Key, value, key, value, ... of a plain dict, and nothing else runs meanwhile.
py::tuple dict_snapshot(py::handle dict) {
  py::tuple parts;
  Py_ssize_t size = 0;
  do {  // to allocate may start the garbage collector, whose finalizers may change the dict
    size = PyDict_GET_SIZE(dict.ptr());
    parts = py::tuple(2 * static_cast<std::size_t>(size));
  } while (PyDict_GET_SIZE(dict.ptr()) != size);
  PyObject *key = nullptr, *value = nullptr;
  Py_ssize_t position = 0;
  for (Py_ssize_t i = 0; PyDict_Next(dict.ptr(), &position, &key, &value) != 0; i += 2) {
    PyTuple_SET_ITEM(parts.ptr(), i, py::handle(key).inc_ref().ptr());
    PyTuple_SET_ITEM(parts.ptr(), i + 1, py::handle(value).inc_ref().ptr());
  }
  return parts;
}

std::string key_text(py::handle key) {
  if (!PyUnicode_CheckExact(key.ptr()) && !PyLong_CheckExact(key.ptr())) {
    return "<" + type_name(key) + ">";  // its repr could be anything
  }
  std::string text;
  try {
    text = py::str(py::repr(key).attr("encode")("ascii", "backslashreplace").attr("decode")());
  } catch (py::error_already_set& error) {
    if (error.matches(PyExc_MemoryError)) {
      throw;
    }
    return "<" + type_name(key) + ">";  // such as an int of more digits than Python converts
  }
  if (text.front() == '\'' && text.find('"') == std::string::npos) {
    text.front() = text.back() = '"';
  }
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}

}  // namespace

void find_mapping_type() {
  mapping_type = py::object(py::module_::import("collections.abc").attr("Mapping")).release().ptr();
}

bool is_mapping(py::handle value) {
  if (PyDict_Check(value.ptr())) {
    return true;
  }
  const int is = PyObject_IsInstance(value.ptr(), mapping_type);
  if (is < 0) {
    throw py::error_already_set();
  }
  return is == 1;
}

Level image_level(py::handle image) {
  auto [header, parts] = image_parts(image);
  return {'P', py::reinterpret_borrow<py::object>(image), std::move(parts), std::move(header)};
}

Level mapping_level(py::handle mapping) {
  if (PyDict_CheckExact(mapping.ptr())) {
    py::tuple parts = dict_snapshot(mapping);
    const std::size_t count = parts.size() / 2;
    return {'M', py::reinterpret_borrow<py::object>(mapping), std::move(parts), count_header(count)};
  }
  const auto items = py::reinterpret_steal<py::object>(PyMapping_Items(mapping.ptr()));
  if (!items) {
    throw py::error_already_set();
  }
  const py::list pairs(items);
  py::tuple parts(2 * pairs.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const py::object pair = pairs[i];
    if (!PyTuple_Check(pair.ptr()) || PyTuple_GET_SIZE(pair.ptr()) != 2) {
      throw Unsupported{
          "a " + type_name(mapping) + " whose items() gives a " + type_name(pair) + " instead of a pair",
          "hash dict(value)"};
    }
    parts[2 * i] = py::handle(PyTuple_GET_ITEM(pair.ptr(), 0));
    parts[2 * i + 1] = py::handle(PyTuple_GET_ITEM(pair.ptr(), 1));
  }
  return {'M', py::reinterpret_borrow<py::object>(mapping), parts, count_header(pairs.size())};
}

Level sequence_level(py::handle sequence) {
  const bool is_tuple = PyTuple_Check(sequence.ptr());
  const auto parts = is_tuple ? py::reinterpret_borrow<py::tuple>(sequence)
                              : py::reinterpret_steal<py::tuple>(PyList_AsTuple(sequence.ptr()));
  if (!parts) {
    throw py::error_already_set();
  }
  return {'L', py::reinterpret_borrow<py::object>(sequence), parts, count_header(parts.size())};
}

void Level::add(const Algorithm& algorithm, const Digest& identity) {
  if (done == 0) {
    identities.reserve(parts.size() * algorithm.digest_bytes);  // to grow, millions would be copied at a time
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(identity.data());
  identities.insert(identities.end(), bytes, bytes + algorithm.digest_bytes);
  ++done;
}

Digest close_level(Level& level, const Algorithm& algorithm, Turns& turns) {
  if (level.kind == 'M') {
    if (algorithm.digest_bytes == kMaxDigestBytes) {
      sort_entries<kMaxDigestBytes>(level.identities, turns);
    } else {
      sort_entries<kMaxDigestBytes / 2>(level.identities, turns);
    }
  }
  Digest digest;
  const auto hash = [&] { digest = hash_frame(algorithm, level.kind, level.header, level.identities); };
  if (algorithm.needs_gil || level.identities.size() < kGilReleaseBytes) {
    hash();
  } else {
    without_gil(hash);
  }
  return digest;
}

std::string location(const std::vector<Level>& levels) {
  std::string path = "value";
  for (const Level& level : levels) {
    const std::size_t index = level.done;
    if (level.kind == 'L') {
      path += "[" + std::to_string(index) + "]";
    } else if (level.kind == 'P') {
      path += image_part_name(index);
    } else {
      const py::handle key(
          PyTuple_GET_ITEM(level.parts.ptr(), static_cast<Py_ssize_t>(index & ~std::size_t{1})));
      path += index % 2 == 0 ? ".keys(): " + key_text(key) : "[" + key_text(key) + "]";
    }
  }
  constexpr std::size_t kEnd = 100;
  return path.size() <= 2 * kEnd ? path : path.substr(0, kEnd) + " ... " + path.substr(path.size() - kEnd);
}

}  // namespace mmhash
