// The five lines of docs/SPEC.md that define tree(payload), to compare identity/tree.h with.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "algorithms/xxh3/dispatch.h"

namespace mmhash {

inline std::vector<std::byte> slow_tree(std::vector<std::byte> payload) {
  while (payload.size() > 8192) {
    std::vector<std::byte> above;
    for (std::size_t i = 0; i < payload.size(); i += 8192) {
      const Xxh3Digest digest = xxh3_128(payload.data() + i, std::min<std::size_t>(8192, payload.size() - i));
      const auto* bytes = reinterpret_cast<const std::byte*>(digest.data());
      above.insert(above.end(), bytes, bytes + digest.size());
    }
    payload = std::move(above);
  }
  return payload;
}

}  // namespace mmhash
