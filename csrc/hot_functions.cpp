#include "hot_functions.h"

#include <memory>
#include <string>
#include <utility>

#include "algorithm_argument.h"
#include "docstrings.h"
#include "pending_type.h"
#include "python_errors.h"
#include "values/identity.h"

namespace mmhash {
namespace {

// What was given of (value, /, *, cache=True, algorithm=None, key=None); identity_async() takes no `cache`.
struct Arguments {
  py::handle value;
  bool use_cache = true;
  py::handle algorithm{}, key{};  // null where not given
};

py::object identity_bytes(const Arguments& given) {
  const ChosenAlgorithm chosen = choose_algorithm(given.algorithm, given.key);
  return chosen.to_bytes(identity(given.value, {*chosen.algorithm, given.use_cache}));
}

py::object feature_hash(const Arguments& given) {
  if (given.value.is_none()) {
    throw py::type_error(
        "hash_feature expected a feature (tensor, array, buffer, or a nested list of them), found None; "
        "pass the item's feature or its precomputed embeddings");
  }
  const ChosenAlgorithm chosen = choose_algorithm(given.algorithm, given.key);
  return py::int_(big_endian_64(identity(given.value, {*chosen.algorithm, given.use_cache}).data()));
}

py::object pending_identity(const Arguments& given) {
  ChosenAlgorithm chosen = choose_algorithm(given.algorithm, given.key);
  return make_pending(
      std::make_unique<PendingIdentity>(given.value, *chosen.algorithm, std::move(chosen.owner)));
}

Arguments parse(const char* function, bool takes_cache, PyObject* const* arguments, Py_ssize_t positional,
                PyObject* keywords) {
  if (positional != 1) {
    throw py::type_error(std::string(function) + "() takes exactly one positional argument (" +
                         std::to_string(positional) + " given)");
  }
  Arguments given{arguments[0]};
  const Py_ssize_t count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, i);
    PyObject* argument = arguments[positional + i];
    const auto is = [&](const char* name) { return PyUnicode_CompareWithASCIIString(keyword, name) == 0; };
    if (is("algorithm")) {
      given.algorithm = argument;
    } else if (is("key")) {
      given.key = argument;
    } else if (takes_cache && is("cache")) {
      const int truth = PyObject_IsTrue(argument);
      if (truth < 0) {
        throw py::error_already_set();
      }
      given.use_cache = truth != 0;
    } else {
      throw py::type_error(std::string(function) + "() got an unexpected keyword argument '" +
                           std::string(py::str(keyword)) + "'; it takes " + (takes_cache ? "'cache', " : "") +
                           "'algorithm' and 'key'");
    }
  }
  return given;
}

// Plain vectorcall functions, because pybind11's dispatcher costs 50 of the 350 ns that the identity of a
// 4 KiB tensor takes, and because it ends the process where memory for the object that is returned or for an
// error's message is short. The exceptions are those that it would translate.
template <py::object (*kFunction)(const Arguments&), const char* kName, bool kTakesCache = true>
PyObject* call(PyObject*, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  try {
    return kFunction(parse(kName, kTakesCache, arguments, positional, keywords)).release().ptr();
  } catch (...) {
    set_python_error();
  }
  return nullptr;
}

constexpr char kIdentityName[] = "identity";
constexpr char kHashFeatureName[] = "hash_feature";
constexpr char kIdentityAsyncName[] = "identity_async";

template <py::object (*kFunction)(const Arguments&), const char* kName, bool kTakesCache = true>
PyMethodDef method(const char* doc) {
  // CPython's own way to put a function with another signature into the table.
  auto* function =
      reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call<kFunction, kName, kTakesCache>));
  return {kName, function, METH_FASTCALL | METH_KEYWORDS, doc};
}

PyMethodDef kHotFunctions[] = {
    method<identity_bytes, kIdentityName>(kIdentityDoc),
    method<feature_hash, kHashFeatureName>(kHashFeatureDoc),
    method<pending_identity, kIdentityAsyncName, false>(kIdentityAsyncDoc),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void add_hot_functions(py::module_& m) {
  if (PyModule_AddFunctions(m.ptr(), kHotFunctions) != 0) {
    throw py::error_already_set();
  }
}

std::uint64_t big_endian_64(const std::uint8_t* bytes) {
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) {
    number = number << 8 | bytes[i];
  }
  return number;
}

}  // namespace mmhash
