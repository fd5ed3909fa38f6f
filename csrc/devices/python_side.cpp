#include "devices/python_side.h"

#include <algorithm>

namespace mmhash::python_side {
namespace {

py::object function(const char* name) {
  return py::module_::import("mmhash._device").attr(name);
}

}  // namespace

Digest copied_identity(const py::object& tensor, const Algorithm& algorithm) {
  const std::string bytes = py::cast<py::bytes>(
      function("identity")(tensor, py::cast(&algorithm, py::return_value_policy::reference)));
  Digest digest{};
  std::copy_n(bytes.begin(), algorithm.digest_bytes, digest.begin());
  return digest;
}

void warn_of_copies(const std::string& reason) {
  function("warn_of_copies")(reason);
}

std::vector<std::string> nvrtc_libraries() {
  std::vector<std::string> libraries;
  for (const py::handle library : function("nvrtc_libraries")()) {
    libraries.push_back(py::cast<std::string>(library));
  }
  return libraries;
}

bool keep_until_done(const py::object& storage, std::uintptr_t stream) {
  try {
    return py::cast<bool>(function("keep_until_done")(storage, stream));
  } catch (py::error_already_set&) {
    return false;
  }
}

}  // namespace mmhash::python_side
