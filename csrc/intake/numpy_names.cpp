#include "intake/numpy_names.h"

#include "intake/tensor_view.h"

namespace mmhash {

NumpyNames numpy_names;

bool find_numpy_names() {
  py::object array = if_imported("numpy", "ndarray");
  if (!array) {
    return false;
  }
  py::object generic = if_imported("numpy", "generic");
  if (!generic) {
    return false;
  }
  NumpyNames found;
  found.base = py::object(array.attr("base")).release().ptr();
  found.flags = py::object(array.attr("flags")).release().ptr();
  found.generic = generic.release().ptr();
  found.array = array.release().ptr();
  numpy_names = found;
  return true;
}

}  // namespace mmhash
