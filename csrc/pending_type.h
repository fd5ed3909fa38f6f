// The class PendingIdentity, as CPython's own API makes one. pybind11 would make its objects without a look
// at whether there is memory for them.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "values/pending.h"

namespace mmhash {

void define_pending_type(pybind11::module_& m);

pybind11::object make_pending(std::unique_ptr<PendingIdentity> pending);

}  // namespace mmhash
