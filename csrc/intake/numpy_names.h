// The one table of what is looked up in NumPy. Kept for ever and all null until some code has imported NumPy,
// like TorchNames. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

namespace mmhash {

struct NumpyNames {
  PyObject* array = nullptr;    // numpy.ndarray
  PyObject* generic = nullptr;  // numpy.generic
  PyObject* asarray = nullptr;  // numpy.asarray
  PyObject* base = nullptr;     // numpy.ndarray's own property: a subclass may define its own as it likes
};

extern NumpyNames numpy_names;

// Fills the table. False as long as nobody has imported NumPy.
bool find_numpy_names();

}  // namespace mmhash
