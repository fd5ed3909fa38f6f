// What the fuzz targets share: a check that ends in a crash, and values drawn from the fuzzer's bytes. An
// input that has run out gives the least of each range, so every input, the empty one too, is a case.
#pragma once

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

// libFuzzer keeps the input of a process that aborts.
#define EXPECT(condition, ...)                                             \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
      std::fprintf(stderr, __VA_ARGS__);                                   \
      std::fprintf(stderr, "\n");                                          \
      std::abort();                                                        \
    }                                                                      \
  } while (false)

using Input = FuzzedDataProvider;

template <typename T>
T draw(Input& input, T low, T high) {
  return input.ConsumeIntegralInRange<T>(low, high);
}

// True once in `n` times.
inline bool one_in(Input& input, unsigned n) {
  return draw<unsigned>(input, 0, n - 1) == n - 1;
}

// A size of at most `most`, often next to one at which XXH3, a leaf, a block, a task or a level of the tree
// ends.
inline std::size_t draw_size(Input& input, std::size_t most) {
  constexpr std::array<std::size_t, 12> kEdges{0,    16,    128,   240,       1024,       4096,
                                               8192, 16384, 65536, 32 * 8192, 512 * 8192, 513 * 8192};
  if (input.ConsumeBool()) {
    return draw<std::size_t>(input, 0, std::min<std::size_t>(most, 3 * 8192));
  }
  const std::size_t edges =
      static_cast<std::size_t>(std::upper_bound(kEdges.begin(), kEdges.end(), most) - kEdges.begin());
  const std::size_t edge = kEdges[draw<std::size_t>(input, 0, edges - 1)];
  const auto step = draw<std::size_t>(input, 0, 8);
  return std::min(most, edge + step - std::min<std::size_t>(edge, 4));
}

// Lengths of pieces, empty ones too, that add up to `total`; the last of many is what is left.
inline std::vector<std::size_t> draw_pieces(Input& input, std::size_t total, std::size_t most) {
  std::vector<std::size_t> pieces;
  while (total > 0 && pieces.size() < 64 && input.remaining_bytes() > 0) {
    pieces.push_back(draw<std::size_t>(input, 0, std::min(total, most)));
    total -= pieces.back();
  }
  pieces.push_back(total);
  return pieces;
}

// Bytes that never repeat, as the payloads of tests/vectors.json (docs/SPEC.md, "Vectors").
inline std::vector<std::byte> pattern(std::size_t size, std::size_t seed) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>(i * 131 + (i >> 8) * 17 + (i >> 16) * 29 + seed);
  }
  return bytes;
}

// A copy at a given distance from a multiple of 64, which ends where its memory ends, so that
// AddressSanitizer sees a read behind it.
class AlignedCopy {
 public:
  AlignedCopy(const std::vector<std::byte>& bytes, std::size_t misalignment)
      : memory_(static_cast<std::byte*>(::operator new(misalignment + bytes.size(), kAlignment))),
        data_(memory_.get() + misalignment) {
    std::copy(bytes.begin(), bytes.end(), data_);
  }
  const std::byte* data() const { return data_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Delete {
    void operator()(std::byte* memory) const { ::operator delete(memory, kAlignment); }
  };
  std::unique_ptr<std::byte, Delete> memory_;
  std::byte* data_;
};
