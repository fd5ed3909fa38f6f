// Which XXH3 kernel runs: the best that CPU and operating system support, or the one that was forced.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel.h"

namespace mmhash {

// The kernel in use. Chosen on the first call; one atomic load afterwards. Thread-safe.
const mmhash_kernel& kernel();

// Forces the ISA of that name (see available_isas()) for the whole process. Digests never depend on it.
// Throws std::invalid_argument, listing the valid names, if it is unknown or not supported here.
void set_isa(std::string_view name);

using Xxh3Digest = std::array<std::uint8_t, 16>;  // XXH3-128, big-endian

inline Xxh3Digest xxh3_128(const void* data, std::size_t size) {
  Xxh3Digest digest;
  kernel().hash128(data, size, 0, digest.data());
  return digest;
}

// The names that this machine can run, best first.
std::vector<std::string> available_isas();

}  // namespace mmhash
