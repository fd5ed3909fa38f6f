#include "intake/numpy_names.h"

#include "intake/attributes.h"
#include "intake/tensor_view.h"

namespace mmhash {

NumpyNames numpy_names;

bool find_numpy_names() {
  py::object array = if_imported("numpy", "ndarray");
  if (!array) {
    return false;
  }
  py::object generic = if_imported("numpy", "generic");
  py::object asarray = if_imported("numpy", "asarray");
  if (!generic || !asarray) {
    return false;
  }
  // A mock is not NumPy: the real one may come later.
  if (PyType_Check(array.ptr()) == 0 || PyType_Check(generic.ptr()) == 0 || !find_attribute(array, "base")) {
    return false;
  }
  NumpyNames found;
  found.base = py::object(array.attr("base")).release().ptr();
  found.asarray = asarray.release().ptr();
  found.generic = generic.release().ptr();
  found.array = array.release().ptr();
  numpy_names = found;
  return true;
}

}  // namespace mmhash
