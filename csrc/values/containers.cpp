#include "values/containers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "identity/frame.h"
#include "intake/tensor_view.h"
#include "values/images.h"

namespace mmhash {
namespace {

std::vector<std::byte> count_header(std::uint64_t count) {
  const auto* first = reinterpret_cast<const std::byte*>(&count);
  return {first, first + sizeof count};
}

std::string key_text(py::handle key) {
  if (!PyUnicode_CheckExact(key.ptr()) && !PyLong_CheckExact(key.ptr())) {
    return "<" + type_name(key) + ">";  // its repr could be anything
  }
  std::string text;
  try {
    text = py::str(py::repr(key).attr("encode")("ascii", "backslashreplace").attr("decode")());
  } catch (py::error_already_set&) {
    return "<" + type_name(key) + ">";  // such as an int of more digits than Python converts
  }
  if (text.front() == '\'' && text.find('"') == std::string::npos) {
    text.front() = text.back() = '"';
  }
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}

}  // namespace

bool is_mapping(py::handle value) {
  if (PyDict_Check(value.ptr())) {
    return true;
  }
  // No initializer: another thread would wait for it with the GIL, which the import gives up.
  static PyObject* mapping = nullptr;
  if (mapping == nullptr) {
    mapping = py::object(py::module_::import("collections.abc").attr("Mapping")).release().ptr();
  }
  const int is = PyObject_IsInstance(value.ptr(), mapping);
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

Digest close_level(const Level& level, const Algorithm& algorithm, Turns& turns) {
  if (level.kind != 'M') {
    return hash_frame(algorithm, level.kind, level.header, level.identities);
  }
  std::vector<std::array<Digest, 2>> entries(level.identities.size() / 2);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i] = {level.identities[2 * i], level.identities[2 * i + 1]};
  }
  std::sort(entries.begin(), entries.end(), [&turns](const auto& a, const auto& b) {
    turns.step();
    return a < b;
  });
  std::vector<Digest> sorted;
  for (const auto& [key, mapped] : entries) {
    sorted.push_back(key);
    sorted.push_back(mapped);
  }
  return hash_frame(algorithm, level.kind, level.header, sorted);
}

std::string location(const std::vector<Level>& levels) {
  std::string path = "value";
  for (const Level& level : levels) {
    const std::size_t index = level.identities.size();
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
