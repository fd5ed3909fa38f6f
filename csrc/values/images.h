// PIL images: loaded once, and what of one stands in its frame. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <vector>

namespace mmhash {

namespace py = pybind11;

// Whether it is a PIL.Image.Image or of a subclass. Imports nothing.
bool is_image(py::handle value);

// image.load(), by one thread at a time. Raises what it raises; an image that failed to load once raises the
// same from then on. RuntimeError if the image is being loaded by this very thread: see ImageTurn.
void load_image(py::handle image);

// load_image() of all images in nested lists, tuples and mappings; passes over all else.
void load_images(py::handle value);

// What an image's methods raised: the walk adds where in the value it stands.
struct ImageError {
  py::error_already_set error;
};

struct ImageParts {
  std::vector<std::byte> header;  // mode and size
  py::tuple parts;                // palette, transparency, pixels: their identities follow in the frame
};

// Loads the image if that was not done yet. Throws ImageError.
ImageParts image_parts(py::handle image);

// How the part of this index is reached: ".palette".
const char* image_part_name(std::size_t index);

}  // namespace mmhash
