// The entry point PyInit__core: refuses the interpreters that mmhash cannot serve, before anything of
// pybind11 or of ours has run there. What the module holds is in module.cpp.
#include <pybind11/pybind11.h>

#include <exception>

// Interpreters
// ------------
// Python objects are kept in statics (torch's and NumPy's types, names, the cache's validators), and the
// cache and the thread pool are the process's. All of that belongs to the interpreter that imported the
// module first, and only as long as it lives; in another one, types would be compared with a stranger's and
// objects be freed under the wrong GIL. Hence one interpreter a process, the main one, and once. pybind11 3.1
// alone would wait for ever in a subinterpreter on Python 3.10 and 3.11, and be imported in a legacy one
// on 3.12 and newer.
//
// It takes two places to refuse. Up to 3.12, PyInit__core is called in the interpreter that imports, and must
// not go on to pybind11. From 3.13 on it is called in the main interpreter for all; what runs where it is
// imported is the module definition's create slot.

extern "C" PyObject* PyInit_bindings();  // PYBIND11_MODULE in module.cpp

namespace {

using Create = PyObject* (*)(PyObject* spec, PyModuleDef* definition);
Create create_bindings = nullptr;  // pybind11's

bool finalized = false;  // guarded by the GIL

// False with ImportError set.
bool may_import_here() {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError,
                    "mmhash cannot be imported in a subinterpreter: its cache and threads belong to the main "
                    "interpreter. "
                    "Import it in the main interpreter (mod_wsgi: WSGIApplicationGroup %{GLOBAL}), or use "
                    "processes, such as concurrent.futures.ProcessPoolExecutor, in place of interpreters");
    return false;
  }
  if (finalized) {
    PyErr_SetString(PyExc_ImportError,
                    "mmhash cannot be imported again after Py_Finalize(): it keeps objects of the "
                    "interpreter that has ended. Initialize Python once a process, or start another process");
    return false;
  }
  return true;
}

PyObject* create(PyObject* spec, PyModuleDef* definition) {
  if (!may_import_here()) {
    return nullptr;
  }
  try {
    return create_bindings(spec, definition);
  } catch (pybind11::error_already_set& error) {
    error.restore();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_ImportError, error.what());
  }
  return nullptr;  // CPython is C: an exception must not reach it
}

// Puts create() before pybind11's slot of that name.
void guard(PyModuleDef* definition) {
  for (PyModuleDef_Slot* slot = definition->m_slots; slot->slot != 0; ++slot) {
    if (slot->slot == Py_mod_create) {
      create_bindings = reinterpret_cast<Create>(slot->value);
      slot->value = reinterpret_cast<void*>(&create);
    }
#ifdef Py_mod_multiple_interpreters
    if (slot->slot == Py_mod_multiple_interpreters) {
      // CPython would refuse for us, but only where the GIL is not shared, and with no word on what to do.
      slot->value = Py_MOD_PER_INTERPRETER_GIL_SUPPORTED;
    }
#endif
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) PyObject* PyInit__core() {
  if (!may_import_here()) {
    return nullptr;
  }
  PyObject* definition = PyInit_bindings();
  if (definition == nullptr || create_bindings != nullptr) {
    return definition;
  }
  if (!PyObject_TypeCheck(definition, &PyModuleDef_Type)) {
    PyErr_SetString(
        PyExc_ImportError,
        "mmhash expects a pybind11 with multi-phase initialization: build it with pybind11 3.1 or newer");
    return nullptr;
  }
  if (Py_AtExit([] { finalized = true; }) != 0) {
    PyErr_SetString(PyExc_ImportError,
                    "mmhash cannot learn when the interpreter ends: Py_AtExit() has no place left");
    return nullptr;
  }
  guard(reinterpret_cast<PyModuleDef*>(definition));
  return definition;
}
