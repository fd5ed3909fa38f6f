// Values that are made of values: lists, tuples and mappings; and an image, which is made of its palette,
// transparency and pixels. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <string>
#include <vector>

#include "identity/algorithm.h"
#include "intake/gil.h"

namespace mmhash {

namespace py = pybind11;

// Lists and mappings within each other, at most.
inline constexpr std::size_t kMaxDepth = 1000;

// Looks up what is_mapping() needs, when the module is initialised: a finalizer that hashes at the end of the
// interpreter can import nothing. Throws what the import raises.
void find_mapping_type();

// A dict or any other collections.abc.Mapping.
bool is_mapping(py::handle value);

// A container whose parts are being hashed: a frame of the walk's own stack.
struct Level {
  char kind;
  py::object source;                    // to notice a value that contains itself
  py::tuple parts;                      // a snapshot; of a mapping: key, value, key, value, ...
  std::vector<std::byte> header;        // what stands in the frame before the identities
  std::size_t done = 0;                 // the index of the part that is next, or being hashed
  std::vector<std::byte> identities{};  // of the parts so far, as they stand in the frame

  void add(const Algorithm& algorithm, const Digest& identity);
};

Level image_level(py::handle image);
Level mapping_level(py::handle mapping);
Level sequence_level(py::handle sequence);

// Its identity, once those of all its parts are known. Lets other threads run where there are many to sort.
Digest close_level(Level& level, const Algorithm& algorithm, Turns& turns);

// Where the part that is being hashed stands: value["images"][3].
std::string location(const std::vector<Level>& levels);

}  // namespace mmhash
