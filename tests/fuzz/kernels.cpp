// Differential: each kernel that this machine can run, by each of its ways to hash (in one piece, joined,
// leaves, a stream), at any alignment, gives the digest of the scalar kernel's hash of one piece.
#include <cstring>
#include <string>

#include "algorithms/xxh3/dispatch.h"
#include "fuzz.h"

using namespace mmhash;

namespace {

using Bytes = std::vector<std::byte>;

constexpr std::size_t kMaxSize = 4 * MMHASH_LEAF_BYTES + 64;

struct Case {
  Bytes bytes;
  std::size_t misalignment, head;
  std::uint64_t seed;
  std::vector<std::size_t> pieces;
};

// The input's own bytes first, then a pattern as far as the drawn size.
Case draw_case(Input& input) {
  Case c;
  c.misalignment = draw<std::size_t>(input, 0, 63);
  c.seed = one_in(input, 2) ? input.ConsumeIntegral<std::uint64_t>() : 0;
  const std::size_t size = draw_size(input, kMaxSize);
  c.head = draw<std::size_t>(input, 0, size);
  const auto own = input.ConsumeBytes<std::byte>(draw<std::size_t>(input, 0, size));
  static const Bytes rest = pattern(kMaxSize, 0);
  c.bytes.assign(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(size));
  std::copy(own.begin(), own.end(), c.bytes.begin());
  c.pieces = draw_pieces(input, size, 2400);
  return c;
}

Xxh3Digest scalar128(const std::byte* data, std::size_t size, std::uint64_t seed) {
  Xxh3Digest digest;
  mmhash_kernel_scalar.hash128(data, size, seed, digest.data());
  return digest;
}

void check_one_piece(const Case& c, const char* isa) {
  const AlignedCopy copy(c.bytes, c.misalignment);
  const std::size_t size = c.bytes.size();
  Xxh3Digest found;
  kernel().hash128(copy.data(), size, c.seed, found.data());
  EXPECT(found == scalar128(c.bytes.data(), size, c.seed), "%s, %zu bytes", isa, size);
  EXPECT(
      kernel().hash64(copy.data(), size, c.seed) == mmhash_kernel_scalar.hash64(c.bytes.data(), size, c.seed),
      "%s, %zu bytes", isa, size);
}

void check_joined(const Case& c, const char* isa) {
  const auto middle = c.bytes.begin() + static_cast<std::ptrdiff_t>(c.head);
  const Bytes head(c.bytes.begin(), middle);
  const AlignedCopy body(Bytes(middle, c.bytes.end()), c.misalignment);
  Xxh3Digest found;
  kernel().hash128_joined(head.data(), head.size(), body.data(), c.bytes.size() - c.head, found.data());
  EXPECT(found == scalar128(c.bytes.data(), c.bytes.size(), 0), "%s, %zu of %zu bytes in the head", isa,
         c.head, c.bytes.size());
}

void check_leaves(const Case& c, const char* isa) {
  const std::size_t count = c.bytes.size() / MMHASH_LEAF_BYTES;
  const auto end = c.bytes.begin() + static_cast<std::ptrdiff_t>(count * MMHASH_LEAF_BYTES);
  const AlignedCopy copy(Bytes(c.bytes.begin(), end), c.misalignment);
  std::vector<Xxh3Digest> found(count);
  kernel().hash128_leaves(copy.data(), count, reinterpret_cast<unsigned char (*)[16]>(found.data()));
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT(found[i] == scalar128(c.bytes.data() + i * MMHASH_LEAF_BYTES, MMHASH_LEAF_BYTES, 0),
           "%s, leaf %zu of %zu", isa, i, count);
  }
}

void check_stream(const Case& c, const char* isa) {
  Xxh3Stream stream(c.seed);
  std::size_t begin = 0;
  for (const std::size_t size : c.pieces) {
    const auto first = c.bytes.begin() + static_cast<std::ptrdiff_t>(begin);
    const Bytes piece(first, first + static_cast<std::ptrdiff_t>(size));
    stream.update(piece.data(), size);
    begin += size;
    EXPECT(stream.digest64() == mmhash_kernel_scalar.hash64(c.bytes.data(), begin, c.seed),
           "%s, %zu of %zu bytes", isa, begin, c.bytes.size());
  }
  EXPECT(stream.digest128() == scalar128(c.bytes.data(), begin, c.seed), "%s, %zu bytes in %zu pieces", isa,
         begin, c.pieces.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const Case c = draw_case(input);
  static const std::vector<std::string> isas = available_isas();
  for (const std::string& isa : isas) {
    set_isa(isa);
    check_one_piece(c, isa.c_str());
    check_joined(c, isa.c_str());
    check_leaves(c, isa.c_str());
    check_stream(c, isa.c_str());
  }
  return 0;
}
