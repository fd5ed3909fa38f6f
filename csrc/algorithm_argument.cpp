#include "algorithm_argument.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "intake/tensor_view.h"
#include "packages/package.h"

namespace mmhash {
namespace {

// Null: xxh3(). Guarded by the GIL.
PyObject* default_algorithm = nullptr;

const Algorithm* as_algorithm(py::handle object) {
  return py::isinstance<Algorithm>(object) ? py::cast<const Algorithm*>(object) : nullptr;
}

py::object opened(py::handle name, py::handle key) {
  // Not initialised where it is declared: the import lets other threads run, which would wait there for this
  // one with the GIL held. Never freed: the interpreter may end before.
  static PyObject* function = nullptr;
  if (function == nullptr) {
    py::object imported = py::module_::import("mmhash.algorithms").attr("opened");
    function = function == nullptr ? imported.release().ptr() : function;
  }
  return py::handle(function)(name, key);
}

std::optional<Key> key_of(py::handle given) {
  if (given.is_none()) {
    return std::nullopt;
  }
  const std::string_view bytes = py::cast<std::string_view>(given);
  Key key;
  if (bytes.size() != key.size()) {
    throw py::value_error("expected a key of 32 bytes");  // mmhash.algorithms has looked before
  }
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

// What was chosen last, by the same objects: a server hashes by one algorithm, and to look up its name and
// key takes as long as hashing 64 bytes. Guarded by the GIL. Only immutable objects are remembered.
struct Choice {
  py::object algorithm, key, owner;
  const Algorithm* found = nullptr;
};

Choice& last_choice() {
  static auto* const choice = new Choice;  // never destroyed: the interpreter may end before
  return *choice;
}

ChosenAlgorithm choose_named(py::handle algorithm, py::handle key) {
  Choice& last = last_choice();
  if (last.found != nullptr && last.algorithm.is(algorithm) && last.key.is(key)) {
    return {last.found, last.owner};
  }
  py::object owner = opened(algorithm, key);
  const Algorithm* found = as_algorithm(owner);
  const bool immutable = key.is_none() || PyBytes_CheckExact(key.ptr());
  if (immutable && (algorithm.is(owner) || PyUnicode_CheckExact(algorithm.ptr()))) {
    Choice latest{py::reinterpret_borrow<py::object>(algorithm), py::reinterpret_borrow<py::object>(key),
                  owner, found};
    std::swap(last, latest);  // all at once: what goes may run Python code that comes back here
  }
  return {found, std::move(owner)};
}

}  // namespace

py::bytes digest_bytes(const Algorithm& algorithm, const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), algorithm.digest_bytes};
}

py::bytes ChosenAlgorithm::to_bytes(const Digest& digest) const {
  return digest_bytes(*algorithm, digest);
}

ChosenAlgorithm choose_algorithm(py::handle algorithm, py::handle key) {
  const py::handle none = Py_None;
  key = key ? key : none;
  if (algorithm && !algorithm.is_none()) {
    return choose_named(algorithm, key);
  }
  if (!key.is_none()) {
    const std::string_view name =
        default_algorithm == nullptr ? xxh3().name : as_algorithm(default_algorithm)->name;
    return choose_named(py::str(name), key);
  }
  if (default_algorithm == nullptr) {
    return {&xxh3(), {}};
  }
  return choose_named(default_algorithm, none);
}

std::string name_text(const char* of, py::handle name) {
  if (!PyUnicode_Check(name.ptr())) {
    throw py::type_error(std::string("expected the name of ") + of + " as a str, found a " + type_name(name));
  }
  std::string text;
  const auto encoded =
      py::reinterpret_steal<py::bytes>(PyUnicode_AsEncodedString(name.ptr(), "utf-8", "backslashreplace"));
  if (!encoded) {
    throw py::error_already_set();
  }
  for (const char character : std::string_view(encoded)) {
    // what() of an exception ends at the first NUL.
    text += character == '\0' ? std::string("\\x00") : std::string(1, character);
  }
  return text;
}

void define_algorithms(py::module_& m) {
  py::class_<Algorithm>(m, "Algorithm",
                        "A hash algorithm with its key, if it has one: what identity() takes for a name.")
      .def_property_readonly("name", [](const Algorithm& algorithm) { return algorithm.name; })
      .def_property_readonly("digest_size", [](const Algorithm& algorithm) { return algorithm.digest_bytes; })
      .def_property_readonly("key_id", [](const Algorithm&) { return py::none(); });
  py::class_<PackageAlgorithm, Algorithm>(m, "PackageAlgorithm", py::is_final())
      .def(py::init([](std::string name, py::handle key, py::object key_id, py::object new_hash,
                       py::object new_parallel_hash, std::size_t parallel_bytes) {
             return std::make_unique<PackageAlgorithm>(
                 std::move(name), key_of(key), std::move(key_id),
                 PackageFunctions{std::move(new_hash), std::move(new_parallel_hash), parallel_bytes});
           }),
           py::arg("name"), py::kw_only(), py::arg("key"), py::arg("key_id"), py::arg("new_hash"),
           py::arg("new_parallel_hash"), py::arg("parallel_bytes"))
      .def_property_readonly("key_id", &PackageAlgorithm::key_id);
  m.attr("XXH3") = py::cast(&xxh3(), py::return_value_policy::reference);
  m.def("set_default_algorithm", [](const py::object& algorithm) {
    PyObject* const before = default_algorithm;
    default_algorithm = as_algorithm(algorithm) == &xxh3() ? nullptr : algorithm.inc_ref().ptr();
    py::reinterpret_steal<py::object>(before);
  });
}

}  // namespace mmhash
