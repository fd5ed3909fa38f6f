// Gathering strided memory, against index arithmetic written out element by element.
#include <algorithm>

#include "check.h"
#include "identity/layout.h"
#include "strided_memory.h"

using namespace mmhash;

namespace {

Layout random_case() {
  Layout c;
  c.dtype = &kDtypes[static_cast<std::size_t>(random_between(0, kDtypes.size() - 1))];
  const std::int64_t ndim = random_between(0, 5);
  std::int64_t low = 0, high = 0, elements = 1;
  for (std::int64_t d = 0; d < ndim; ++d) {
    // Some are larger than the tiles in which a transposed plane is copied.
    const std::int64_t most = random_between(0, 3) == 0 && elements < 500 ? 40 : 7;
    const std::int64_t extent = random_between(0, 20) == 0 ? 0 : random_between(1, most);
    elements *= extent;
    // Dense, padded, unaligned, repeated and reversed dimensions all occur.
    const std::int64_t stride = random_between(-3, 4) * c.dtype->itemsize + (random_between(0, 5) == 0);
    c.shape.push_back(extent);
    c.strides.push_back(stride);
    const std::int64_t reach = std::max<std::int64_t>(extent - 1, 0) * stride;
    (reach < 0 ? low : high) += reach;
  }
  if (random_between(0, 2) == 0) {  // row-major, so that some cases are in place
    std::int64_t dense = c.dtype->itemsize;
    low = high = 0;
    for (std::size_t d = c.shape.size(); d-- > 0; dense *= std::max<std::int64_t>(c.shape[d], 1)) {
      c.strides[d] = dense;
      high += std::max<std::int64_t>(c.shape[d] - 1, 0) * dense;
    }
  }
  c.origin = -low + random_between(0, 7);
  c.memory = random_bytes(static_cast<std::size_t>(c.origin + high + c.dtype->itemsize));
  if (c.dtype->element_class == ElementClass::Bool && random_between(0, 1) == 0) {
    for (std::byte& byte : c.memory) {  // as most bools are; others are read through scratch memory
      byte &= std::byte{1};
    }
  }
  c.transform = {random_between(0, 3) == 0, random_between(0, 3) == 0, random_between(0, 3) == 0};
  return c;
}

void check(const Layout& c) {
  const Payload payload(c.data(), *c.dtype, c.shape, c.strides, c.transform);
  const std::vector<std::byte> expected = expected_payload(c);
  CHECK(payload.size() == expected.size(), "%zu bytes, expected %zu", payload.size(), expected.size());
  std::vector<std::byte> scratch(expected.size() + 1);
  for (int i = 0; i < 8 && !expected.empty(); ++i) {
    const auto items = static_cast<std::int64_t>(expected.size() / c.dtype->itemsize);
    const std::int64_t first = i == 0 ? 0 : random_between(0, items - 1);
    const std::int64_t count = i == 0 ? items : random_between(1, items - first);
    const std::size_t offset = static_cast<std::size_t>(first) * c.dtype->itemsize;
    const std::size_t size = static_cast<std::size_t>(count) * c.dtype->itemsize;
    scratch[size] = std::byte{0x5a};
    const std::byte* found = payload.read(offset, size, scratch.data());
    CHECK(std::equal(found, found + size, expected.data() + offset), "elements [%ld, %ld)",
          static_cast<long>(first), static_cast<long>(first + count));
    CHECK(scratch[size] == std::byte{0x5a}, "wrote behind the end of the scratch memory");
    if (payload.in_place()) {
      const std::byte* memory = c.data() + offset;
      const bool same = std::equal(memory, memory + size, expected.data() + offset);
      CHECK(found == (same ? memory : scratch.data()), "contiguous memory was copied, or should have been");
      CHECK(same || !payload.verbatim(), "the memory is not the payload");
    }
  }
}

}  // namespace

int main() {
  constexpr int kCases = 10000;
  int in_place = 0;
  for (int i = 0; i < kCases; ++i) {
    const Layout c = random_case();
    check(c);
    in_place += Payload(c.data(), *c.dtype, c.shape, c.strides, c.transform).in_place();
  }
  CHECK(in_place > kCases / 20 && in_place < kCases - kCases / 20,
        "%d of %d in place: the cases are one-sided", in_place, kCases);
  std::size_t size = 1;
  CHECK(!checked_size(std::vector<std::int64_t>{std::int64_t{1} << 40, 1 << 23}, 1, size), "2**63 bytes fit");
  CHECK(checked_size(std::vector<std::int64_t>{std::int64_t{1} << 62, 1 << 30, 0}, 8, size) && size == 0,
        "an empty array is not empty");
  std::printf("%d layouts, %d in place\n", kCases, in_place);
}
