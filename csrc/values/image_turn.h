// Whose turn it is to load an image. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

namespace mmhash {

namespace py = pybind11;

// An attribute that stands in the image's __dict__; null if there is none. Runs no Python code.
py::object own_attribute(py::handle image, const char* name);

// Mutual exclusion for as long as it lives: no other thread has a turn at the same image, nor at another one
// that is read from the same file object. Waits for one that has, without the GIL, and hears signals
// meanwhile.
//
// Raises RuntimeError instead of waiting for what would never end: this thread's own turn, a turn of a thread
// that waits for this one's, and one of a thread that a fork left behind; and what a signal handler raises.
class ImageTurn {
 public:
  explicit ImageTurn(py::handle image);
  ~ImageTurn();
  ImageTurn(const ImageTurn&) = delete;
  ImageTurn& operator=(const ImageTurn&) = delete;

  struct Entry;

 private:
  std::shared_ptr<Entry> entry_;
};

}  // namespace mmhash
