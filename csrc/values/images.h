// PIL images: what of one stands in its frame. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <vector>

namespace mmhash {

namespace py = pybind11;

// Whether it is a PIL.Image.Image or of a subclass. Imports nothing.
bool is_image(py::handle value);

struct ImageParts {
  std::vector<std::byte> header;  // mode and size
  py::tuple parts;                // palette, transparency, pixels: their identities follow in the frame
};

// Loads the image if that was not done yet. Raises what its methods raise.
ImageParts image_parts(py::handle image);

// How the part of this index is reached: ".palette".
const char* image_part_name(std::size_t index);

}  // namespace mmhash
