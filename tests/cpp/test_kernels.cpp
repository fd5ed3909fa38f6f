// Every kernel that this machine can run against the scalar one: all short lengths, the boundaries of the
// long ones, any alignment, seeds, and the joined form against the plain one.
#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "algorithms/xxh3/dispatch.h"
#include "check.h"

using mmhash::available_isas;
using mmhash::kernel;
using mmhash::set_isa;
using mmhash::Xxh3Digest;
using mmhash::Xxh3Stream;

namespace {

constexpr std::size_t kMaxSize = 3 * 8192 + 1;

std::vector<std::size_t> sizes() {
  std::vector<std::size_t> all;
  for (std::size_t size = 0; size <= 600; ++size) {
    all.push_back(size);
  }
  for (const std::size_t size : {1023, 1024, 1025, 4096, 8191, 8192, 8193, 16384, 3 * 8192 + 1}) {
    all.push_back(size);
  }
  return all;
}

void compare_with_scalar(const std::string& isa) {
  const std::vector<std::byte> bytes = random_bytes(kMaxSize + 64);
  for (const std::size_t size : sizes()) {
    const std::byte* data = bytes.data() + random_between(0, 63);
    for (const std::uint64_t number : {std::uint64_t{0}, ~std::uint64_t{0}, random_engine()()}) {
      std::array<unsigned char, 16> expected, found;
      mmhash_kernel_scalar.hash128(data, size, number, expected.data());
      kernel().hash128(data, size, number, found.data());
      CHECK(found == expected, "%s, %zu bytes", isa.c_str(), size);
      CHECK(kernel().hash64(data, size, number) == mmhash_kernel_scalar.hash64(data, size, number),
            "%s, %zu bytes", isa.c_str(), size);
    }
  }
}

void compare_joined(const std::string& isa) {
  const std::vector<std::byte> bytes = random_bytes(kMaxSize);
  for (const std::size_t size : sizes()) {
    const auto head = std::min(size, static_cast<std::size_t>(random_between(0, 2400)));
    std::array<unsigned char, 16> expected, found;
    kernel().hash128(bytes.data(), size, 0, expected.data());
    kernel().hash128_joined(bytes.data(), head, bytes.data() + head, size - head, found.data());
    CHECK(found == expected, "%s, %zu + %zu bytes", isa.c_str(), head, size - head);
  }
}

// In pieces of any length, empty ones too, and read in between.
void compare_streams(const std::string& isa) {
  const std::vector<std::byte> bytes = random_bytes(kMaxSize);
  for (const std::size_t size : sizes()) {
    for (const std::uint64_t number : {std::uint64_t{0}, random_engine()()}) {
      std::array<unsigned char, 16> expected;
      kernel().hash128(bytes.data(), size, number, expected.data());
      Xxh3Stream stream(number);
      for (std::size_t begin = 0; begin < size;) {
        const auto count = std::min(size - begin, static_cast<std::size_t>(random_between(0, 2400)));
        stream.update(bytes.data() + begin, count);
        begin += count;
        CHECK(stream.digest64() == kernel().hash64(bytes.data(), begin, number), "%s, %zu of %zu bytes",
              isa.c_str(), begin, size);
      }
      const Xxh3Digest found = stream.digest128();
      CHECK(std::equal(found.begin(), found.end(), expected.begin()), "%s, %zu bytes", isa.c_str(), size);
    }
  }
}

void compare_leaves(const std::string& isa) {
  const std::vector<std::byte> bytes = random_bytes(3 * MMHASH_LEAF_BYTES);
  std::array<unsigned char, 16> expected;
  unsigned char found[3][16];
  kernel().hash128_leaves(bytes.data(), 3, found);
  for (std::size_t i = 0; i < 3; ++i) {
    kernel().hash128(bytes.data() + i * MMHASH_LEAF_BYTES, MMHASH_LEAF_BYTES, 0, expected.data());
    CHECK(std::equal(expected.begin(), expected.end(), found[i]), "%s, leaf %zu", isa.c_str(), i);
  }
}

}  // namespace

int main() {
  for (const std::string& isa : available_isas()) {
    set_isa(isa);
    CHECK(kernel().isa == isa, "asked for %s, got %s", isa.c_str(), kernel().isa);
    compare_with_scalar(isa);
    compare_joined(isa);
    compare_streams(isa);
    compare_leaves(isa);
    std::printf("%s agrees with scalar\n", isa.c_str());
  }
  bool refused = false;
  try {
    set_isa("mmx");
  } catch (const std::invalid_argument& error) {
    refused = std::string(error.what()).find("'scalar'") != std::string::npos;
  }
  CHECK(refused, "an unknown ISA was accepted, or its message lists no valid one");
}
