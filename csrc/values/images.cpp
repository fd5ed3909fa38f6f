#include "values/images.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>

#include "intake/attributes.h"
#include "intake/tensor_view.h"
#include "values/containers.h"
#include "values/exceptions.h"
#include "values/image_turn.h"

// Images that failed to load
// --------------------------
// Pillow decodes into the image itself, and takes an image whose decoder failed for one that is loaded: the
// second load() succeeds, with pixels that are black or end in the middle. So the first failure is kept in
// the image's __dict__, where it lives as long as the image and does not travel with copy() or pickle, and
// is raised each time. So is an interruption: a load that Ctrl-C ended may have left as much behind. The way
// to try again is to open the file again, since seek() does not repair an image either: frames of a GIF, a
// PNG and a WebP are drawn over those before. Frames of a TIFF and an MPO stand for themselves, and there
// the failure is that of the one frame.
//
// What cannot be told: that a load() failed which some other code called before mmhash saw the image. Most
// formats then look as after a success, but one that was cut off fails again, and a PNG whose end is damaged
// still has its file.

namespace mmhash {
namespace {

PyTypeObject* image_type() {
  static PyObject* image = nullptr;  // PIL.Image.Image, kept for ever once some other code imported it
  if (image == nullptr) {
    image = if_imported("PIL.Image", "Image").release().ptr();
  }
  return reinterpret_cast<PyTypeObject*>(image);
}

constexpr const char* kFailure = "_mmhash_failure";  // in the image's __dict__: the exception, and its frame

void keep_failure(py::handle image, const py::object& exception, const py::object& frame) {
  image.attr("__dict__")[kFailure] = py::make_tuple(exception, frame);
}

// First without any Python code, which a signal handler may end, then as well as can be.
void remember_failure(py::handle image, const py::error_already_set& error) {
  const std::string name = py::str(py::type::handle_of(error.value()).attr("__name__"));
  const auto runtime_error = py::reinterpret_borrow<py::object>(PyExc_RuntimeError);
  keep_failure(image,
               runtime_error("an earlier load of the image ended with " + name +
                             ", and may have left it half decoded; open its file again"),
               py::none());
  if (!error.matches(PyExc_Exception)) {
    return;  // raised again, a KeyboardInterrupt would end another program's life
  }
  try {
    keep_failure(image, copy_of_exception(error.value()), image.attr("tell")());
  } catch (py::error_already_set& another) {
    if (!another.matches(PyExc_Exception)) {
      throw;
    }
  }
}

bool has_format(py::handle image, const char* name) {
  return find_attribute(image, "format", py::none()).equal(py::str(name));
}

void refuse_failed(py::handle image) {
  if (const py::object failure = own_attribute(image, kFailure)) {
    const auto [exception, frame] = py::cast<std::pair<py::object, py::object>>(failure);
    const bool frames_are_independent = has_format(image, "TIFF") || has_format(image, "MPO");
    if (frame.is_none() || !frames_are_independent || frame.equal(image.attr("tell")())) {
      const py::object fresh = copy_of_exception(exception);
      PyErr_SetObject(py::type::handle_of(fresh).ptr(), fresh.ptr());
      throw py::error_already_set();
    }
  }
  // After a success, load() has let go of the file.
  const py::object file = own_attribute(image, "fp");
  if (file && !file.is_none() && has_format(image, "PNG") && py::len(image.attr("tile")) == 0) {
    PyErr_SetString(PyExc_OSError, "an earlier load of the image failed; open its file again");
    throw py::error_already_set();
  }
}

// Made in memory, without a palette that load() would bring into another form: nothing to wait for, and
// nothing that can be left half done.
bool is_plain(py::handle image) {
  return Py_TYPE(image.ptr()) == image_type() && image.attr("palette").is_none();
}

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
  PyTypeObject* const type = image_type();
  return type != nullptr && PyObject_TypeCheck(value.ptr(), type) != 0;
}

void load_image(py::handle image) {
  if (is_plain(image)) {
    image.attr("load")();
    return;
  }
  const ImageTurn turn(image);
  refuse_failed(image);
  try {
    image.attr("load")();
  } catch (py::error_already_set& error) {
    if (Py_TYPE(image.ptr()) != image_type()) {  // else there is no file, and nothing was decoded
      remember_failure(image, error);
    }
    throw;
  }
}

ImageParts image_parts(py::handle image) try {
  load_image(image);  // before all else: a file's final palette, mode and size are known only then
  std::vector<std::byte> header = mode_and_size(image);
  py::object palette = image.attr("palette");
  if (!palette.is_none()) {
    palette = py::make_tuple(palette.attr("mode"), palette.attr("tobytes")());
  }
  const py::object transparency = image.attr("info").attr("get")("transparency");
  return {std::move(header), py::make_tuple(palette, transparency, image.attr("tobytes")())};
} catch (py::error_already_set& error) {
  throw ImageError{error};
}

void load_images(py::handle value) {
  if (image_type() == nullptr) {
    return;
  }
  // Breadth first, so that no depth exhausts the stack. A value may contain itself, or be a mapping that
  // makes its values when asked for them: beyond kMaxDepth identity() goes no further either.
  std::vector<std::pair<py::object, std::size_t>> containers;  // with their depth
  std::unordered_set<PyObject*> seen;                          // which `containers` keeps alive
  const auto visit = [&](py::handle part, std::size_t depth) {
    if (PyLong_Check(part.ptr()) || PyFloat_Check(part.ptr()) || PyUnicode_Check(part.ptr())) {
      return;  // what long lists are made of
    }
    if (is_image(part)) {
      load_image(part);
    } else if (depth <= kMaxDepth &&
               (PyList_Check(part.ptr()) || PyTuple_Check(part.ptr()) || is_mapping(part)) &&
               seen.insert(part.ptr()).second) {
      containers.emplace_back(py::reinterpret_borrow<py::object>(part), depth);
    }
  };
  visit(value, 1);
  for (std::size_t i = 0; i < containers.size(); ++i) {
    const auto [container, depth] = containers[i];
    const bool is_sequence = PyList_Check(container.ptr()) || PyTuple_Check(container.ptr());
    const py::object parts =
        is_sequence ? container : py::reinterpret_steal<py::object>(PyMapping_Values(container.ptr()));
    if (!parts) {
      throw py::error_already_set();
    }
    for (const py::handle part : py::tuple(parts)) {  // a snapshot, since load() is foreign code
      visit(part, depth + 1);
    }
  }
}

const char* image_part_name(std::size_t index) {
  constexpr const char* kNames[] = {".palette", ".info[\"transparency\"]", ".tobytes()"};
  return kNames[std::min<std::size_t>(index, 2)];
}

}  // namespace mmhash
