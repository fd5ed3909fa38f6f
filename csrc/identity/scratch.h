// A block of memory that a thread keeps, for gathering strided payloads. No Python.
#pragma once

#include <cstddef>

namespace mmhash {

inline constexpr std::size_t kScratchBytes = std::size_t{64} << 10;

// The calling thread's block, aligned to 64 bytes, freed when the thread ends; nullptr where memory is short.
// Not on the stack: a Python thread may have been given as little as 32 KiB of it.
std::byte* scratch() noexcept;

}  // namespace mmhash
