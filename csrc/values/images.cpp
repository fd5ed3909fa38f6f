#include "values/images.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "intake/tensor_view.h"

namespace mmhash {
namespace {

void append(std::vector<std::byte>& bytes, const void* data, std::size_t size) {
  const auto* first = static_cast<const std::byte*>(data);
  bytes.insert(bytes.end(), first, first + size);
}

std::vector<std::byte> mode_and_size(py::handle image) {
  const std::string mode = py::str(image.attr("mode"));
  const py::tuple size = image.attr("size");
  std::vector<std::byte> header{static_cast<std::byte>(mode.size())};
  append(header, mode.data(), mode.size());
  for (const py::handle side : size) {
    const auto extent = py::cast<std::uint64_t>(side);
    append(header, &extent, sizeof extent);
  }
  return header;
}

}  // namespace

bool is_image(py::handle value) {
  static PyObject* image = nullptr;  // PIL.Image.Image, kept for ever once some other code imported it
  if (image == nullptr) {
    image = if_imported("PIL.Image", "Image").release().ptr();
  }
  return image != nullptr && PyObject_TypeCheck(value.ptr(), reinterpret_cast<PyTypeObject*>(image)) != 0;
}

ImageParts image_parts(py::handle image) {
  image.attr("load")();  // a lazily opened file knows its final palette and size only now
  std::vector<std::byte> header = mode_and_size(image);
  py::object palette = image.attr("palette");
  if (!palette.is_none()) {
    palette = py::make_tuple(palette.attr("mode"), palette.attr("tobytes")());
  }
  const py::object transparency = image.attr("info").attr("get")("transparency");
  return {std::move(header), py::make_tuple(palette, transparency, image.attr("tobytes")())};
}

const char* image_part_name(std::size_t index) {
  constexpr const char* kNames[] = {".palette", ".info[\"transparency\"]", ".tobytes()"};
  return kNames[std::min<std::size_t>(index, 2)];
}

}  // namespace mmhash
