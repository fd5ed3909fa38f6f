#include "pending_type.h"

#include <utility>

#include "algorithm_argument.h"
#include "docstrings.h"
#include "python_errors.h"

namespace mmhash {
namespace {

struct Object {
  PyObject ob_base;
  PendingIdentity* pending;
};

PyTypeObject* type = nullptr;  // kept for ever

PendingIdentity& pending_of(PyObject* self) {
  return *reinterpret_cast<Object*>(self)->pending;
}

PyObject* done(PyObject* self, PyObject*) {
  return PyBool_FromLong(pending_of(self).done());
}

PyObject* result(PyObject* self, PyObject*) {
  try {
    const Digest digest = pending_of(self).result();
    return digest_bytes(pending_of(self).algorithm(), digest).release().ptr();
  } catch (...) {
    set_python_error();
  }
  return nullptr;
}

void dealloc(PyObject* self) {
  PyTypeObject* const its_type = Py_TYPE(self);
  delete reinterpret_cast<Object*>(self)->pending;
  its_type->tp_free(self);
  Py_DECREF(its_type);
}

PyMethodDef methods[] = {
    {"done", done, METH_NOARGS, kDoneDoc},
    {"result", result, METH_NOARGS, kResultDoc},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(kPendingIdentityDoc)},
    {Py_tp_methods, methods},
    {Py_tp_dealloc, reinterpret_cast<void*>(&dealloc)},
    {0, nullptr},
};

PyType_Spec spec = {"mmhash._core.PendingIdentity", sizeof(Object), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

void define_pending_type(py::module_& m) {
  type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (type == nullptr || PyModule_AddType(m.ptr(), type) != 0) {
    throw py::error_already_set();
  }
}

py::object make_pending(std::unique_ptr<PendingIdentity> pending) {
  PyObject* const made = type->tp_alloc(type, 0);
  if (made == nullptr) {
    throw py::error_already_set();
  }
  reinterpret_cast<Object*>(made)->pending = pending.release();
  return py::reinterpret_steal<py::object>(made);
}

}  // namespace mmhash
