// The room algorithms/xxh3: XXH3 itself, one instruction set a file. No Python, nothing of the rooms above
// and no other algorithm belongs here.
//
// Which XXH3 kernel runs: the best that CPU and operating system support, or the one that was forced.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
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

// XXH3 of bytes that arrive in pieces of any length: about as fast as in one piece if they are long.
class Xxh3Stream {
 public:
  // Throws std::bad_alloc.
  explicit Xxh3Stream(std::uint64_t seed)
      : kernel_(kernel()), stream_(kernel_.stream_open(seed), kernel_.stream_close) {
    if (stream_ == nullptr) {
      throw std::bad_alloc();
    }
  }
  void update(const void* data, std::size_t size) { kernel_.stream_update(stream_.get(), data, size); }
  std::uint64_t digest64() const { return kernel_.stream_digest64(stream_.get()); }
  Xxh3Digest digest128() const {
    Xxh3Digest digest;
    kernel_.stream_digest128(stream_.get(), digest.data());
    return digest;
  }

 private:
  const mmhash_kernel& kernel_;  // of one set_isa(), whatever is chosen meanwhile
  std::unique_ptr<mmhash_stream, void (*)(mmhash_stream*)> stream_;
};

// The names that this machine can run, best first.
std::vector<std::string> available_isas();

}  // namespace mmhash
