// Every kernel that this machine can run against the scalar one: all short lengths, the boundaries of the
// long ones, any alignment, seeds, and the joined form against the plain one.
#include <algorithm>
#include <array>
#include <iterator>
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
constexpr std::size_t kLong[] = {1023, 1024, 1025, 4096, 8191, 8192, 8193, 16384, kMaxSize};
// Lengths around stripes, blocks and leaves.
constexpr std::size_t kAround[] = {241, 256, 257, 1023, 1024, 1025, 1088, 2048, 2049, 8191, 8192, 8193};
// Where the way of joining changes: at heads of a block (1 KiB) and bodies of two.
constexpr std::size_t kHeads[] = {0, 1, 63, 64, 65, 500, 1023, 1024, 1025};
constexpr std::size_t kBodies[] = {2047, 2048, 2049, 3072, 4096, 8192};

std::vector<std::size_t> sizes() {
  std::vector<std::size_t> all;
  for (std::size_t size = 0; size <= 600; ++size) {
    all.push_back(size);
  }
  all.insert(all.end(), std::begin(kLong), std::end(kLong));
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
  const auto compare = [&isa](std::size_t head, std::size_t body) {
    const std::vector<std::byte> bytes = random_bytes(head + body);
    const std::vector<std::byte> apart(bytes.begin() + static_cast<std::ptrdiff_t>(head), bytes.end());
    std::array<unsigned char, 16> expected, found;
    mmhash_kernel_scalar.hash128(bytes.data(), bytes.size(), 0, expected.data());
    kernel().hash128_joined(bytes.data(), head, apart.data(), body, found.data());
    CHECK(found == expected, "%s, %zu + %zu bytes", isa.c_str(), head, body);
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{5000}}) {
    const std::vector<std::byte> bytes = random_bytes(size);
    std::array<unsigned char, 16> expected, found;
    mmhash_kernel_scalar.hash128(bytes.data(), size, 0, expected.data());
    kernel().hash128_joined(nullptr, 0, bytes.data(), size, found.data());
    CHECK(found == expected, "%s, nothing + %zu bytes", isa.c_str(), size);
    kernel().hash128_joined(bytes.data(), size, nullptr, 0, found.data());
    CHECK(found == expected, "%s, %zu bytes + nothing", isa.c_str(), size);
  }
  for (const std::size_t size : sizes()) {
    const auto head = std::min(size, static_cast<std::size_t>(random_between(0, 2400)));
    compare(head, size - head);
  }
  for (const std::size_t head : kHeads) {
    for (const std::size_t body : kBodies) {
      compare(head, body);
    }
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

// At every alignment, and up to the last byte of what was allocated: a read beyond it is AddressSanitizer's.
void compare_alignments(const std::string& isa) {
  for (std::size_t offset = 0; offset < 64; ++offset) {
    for (const std::size_t size : kAround) {
      const std::vector<std::byte> bytes = random_bytes(offset + size);
      for (const std::uint64_t number : {std::uint64_t{0}, random_engine()()}) {
        std::array<unsigned char, 16> expected, found;
        mmhash_kernel_scalar.hash128(bytes.data() + offset, size, number, expected.data());
        kernel().hash128(bytes.data() + offset, size, number, found.data());
        CHECK(found == expected, "%s, %zu bytes at %zu", isa.c_str(), size, offset);
        CHECK(kernel().hash64(bytes.data() + offset, size, number) ==
                  mmhash_kernel_scalar.hash64(bytes.data() + offset, size, number),
              "%s, %zu bytes at %zu", isa.c_str(), size, offset);
      }
    }
  }
}

void compare_leaves(const std::string& isa) {
  constexpr std::size_t count = 9;
  for (std::size_t offset = 0; offset < 64; ++offset) {
    const std::vector<std::byte> bytes = random_bytes(offset + count * MMHASH_LEAF_BYTES);
    std::array<unsigned char, 16> expected;
    unsigned char found[count][16];
    kernel().hash128_leaves(bytes.data() + offset, count, found);
    for (std::size_t i = 0; i < count; ++i) {
      const std::byte* leaf = bytes.data() + offset + i * MMHASH_LEAF_BYTES;
      mmhash_kernel_scalar.hash128(leaf, MMHASH_LEAF_BYTES, 0, expected.data());
      CHECK(std::equal(expected.begin(), expected.end(), found[i]), "%s, leaf %zu at %zu", isa.c_str(), i,
            offset);
    }
  }
}

}  // namespace

int main() {
  for (const std::string& isa : available_isas()) {
    set_isa(isa);
    CHECK(kernel().isa == isa, "asked for %s, got %s", isa.c_str(), kernel().isa);
    compare_with_scalar(isa);
    compare_alignments(isa);
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
