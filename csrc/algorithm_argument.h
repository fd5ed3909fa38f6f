// The arguments `algorithm` and `key` of Python's functions, and what they are where nobody says.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "identity/algorithm.h"

namespace mmhash {

namespace py = pybind11;

struct ChosenAlgorithm {
  const Algorithm* algorithm;
  py::object owner;  // keeps it; null for xxh3(), which lives for ever

  py::bytes to_bytes(const Digest& digest) const;
};

// Of (algorithm, key), each null or None where not given: neither means the default with its key; a key alone
// the default algorithm with that key; an algorithm is a name, which takes no key but the one that is given,
// or an object of the class Algorithm. Throws TypeError, ValueError and ImportError as
// mmhash.algorithms.opened() does. Needs the GIL.
ChosenAlgorithm choose_algorithm(py::handle algorithm, py::handle key);

// Adds the class Algorithm and the functions that mmhash/algorithms/ makes and sets them with.
void define_algorithms(py::module_& m);

py::bytes digest_bytes(const Algorithm& algorithm, const Digest& digest);

// A name out of a table of ours. pybind11's conversion would answer for a str that has no UTF-8, such as an
// environment variable of other bytes, with a TypeError about the overloads of a function; here it becomes a
// name that the table does not have, spelled as its repr() is.
std::string name_text(const char* of, py::handle name);

}  // namespace mmhash
