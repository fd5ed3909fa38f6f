// Strided memory, and what its payload is: index arithmetic written out element by element, to compare
// identity/layout.h with.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "identity/layout.h"

namespace mmhash {

struct Layout {
  const Dtype* dtype = nullptr;
  std::vector<std::int64_t> shape, strides;  // strides in bytes
  std::vector<std::byte> memory;
  std::int64_t origin = 0;  // of the first element in the memory
  Transform transform;

  const std::byte* data() const { return memory.data() + origin; }
};

// The element's bytes as the digest wants them, one number at a time.
inline void transform_number(std::byte* bytes, std::size_t size, bool flip, bool negate, bool swap,
                             ElementClass kind) {
  if (swap) {
    std::reverse(bytes, bytes + size);
  }
  if (kind == ElementClass::Integer && negate) {
    std::uint64_t number = 0;
    std::memcpy(&number, bytes, size);
    number = 0 - number;
    std::memcpy(bytes, &number, size);
  } else if (flip != negate) {
    bytes[size - 1] ^= std::byte{0x80};
  }
}

inline std::vector<std::byte> expected_payload(const Layout& layout) {
  std::size_t count = 1;
  for (const std::int64_t extent : layout.shape) {
    count *= static_cast<std::size_t>(extent);
  }
  const std::size_t itemsize = layout.dtype->itemsize;
  const Transform& t = layout.transform;
  const ElementClass kind = layout.dtype->element_class;
  std::vector<std::byte> out(count * itemsize);
  std::vector<std::int64_t> index(layout.shape.size());
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::byte* element = out.data() + i * itemsize;
    std::memcpy(element, layout.data() + offset, itemsize);
    if (kind == ElementClass::Complex) {
      transform_number(element, itemsize / 2, false, t.negate, t.swap_bytes, kind);
      transform_number(element + itemsize / 2, itemsize / 2, t.conjugate, t.negate, t.swap_bytes, kind);
    } else {
      transform_number(element, itemsize, false, t.negate, t.swap_bytes, kind);
    }
    if (kind == ElementClass::Bool) {
      *element = std::byte{*element != std::byte{0}};
    }
    // The next index in row-major order: the last dimension first, with carry.
    for (std::size_t d = index.size(); d-- > 0;) {
      offset += layout.strides[d];
      if (++index[d] < layout.shape[d]) {
        break;
      }
      offset -= layout.shape[d] * layout.strides[d];
      index[d] = 0;
    }
  }
  return out;
}

}  // namespace mmhash
