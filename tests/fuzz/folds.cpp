// The tree over any layout and any chunking: what a payload of any shape, strides, offset and transform folds
// to, at once, in steps that a deadline ends, from a contiguous copy, and from pieces of any length, is what
// docs/SPEC.md makes of the elements as they are picked one by one.
#include <chrono>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "cpp/slow_tree.h"
#include "cpp/strided_memory.h"
#include "fuzz.h"
#include "identity/algorithm.h"
#include "identity/thread_pool.h"
#include "identity/tree.h"

using namespace mmhash;

namespace {

using Bytes = std::vector<std::byte>;

// Enough for a payload whose leaves are shared by threads, and whose digests fill more than one leaf.
constexpr std::size_t kMaxBytes = 514 * kLeafBytes;
constexpr std::int64_t kMaxMemory = 4 * kMaxBytes;

// Up to six dimensions, of which one is stretched or cut so that the payload has about the drawn size.
std::vector<std::int64_t> draw_shape(Input& input, std::size_t itemsize) {
  const std::size_t most = one_in(input, 32) ? kMaxBytes : 12 * kLeafBytes;
  auto left = static_cast<std::int64_t>(draw_size(input, most) / itemsize);
  std::vector<std::int64_t> shape(draw<std::size_t>(input, 0, 6));
  if (shape.empty()) {
    return shape;
  }
  const auto stretched = draw<std::size_t>(input, 0, shape.size() - 1);
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (d != stretched) {
      shape[d] = std::min<std::int64_t>(draw<std::int64_t>(input, 1, one_in(input, 4) ? 600 : 9), left);
      left /= std::max<std::int64_t>(shape[d], 1);
    }
  }
  shape[stretched] = left;
  return shape;
}

// Bytes from the lowest to the highest element's address, both included, as offsets from the first one's.
std::pair<std::int64_t, std::int64_t> reach(const Layout& layout) {
  std::int64_t low = 0, high = layout.dtype->itemsize;
  for (std::size_t d = 0; d < layout.shape.size(); ++d) {
    if (layout.shape[d] > 1) {
      const std::int64_t last = (layout.shape[d] - 1) * layout.strides[d];
      (last < 0 ? low : high) += last;
    }
  }
  return {low, high};
}

void set_dense_strides(Layout& layout) {
  layout.strides.resize(layout.shape.size());
  std::int64_t stride = layout.dtype->itemsize;
  for (std::size_t d = layout.shape.size(); d-- > 0; stride *= layout.shape[d]) {
    layout.strides[d] = stride;
  }
}

// The dimensions in any order, each dense, padded, unaligned, reversed or repeated.
void draw_strides(Input& input, Layout& layout) {
  std::vector<std::size_t> order(layout.shape.size());  // from the innermost on
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = order.size() - 1 - i;
  }
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[draw<std::size_t>(input, 0, i - 1)]);
  }
  const std::int64_t itemsize = layout.dtype->itemsize;
  std::int64_t stride = itemsize;
  for (const std::size_t d : order) {
    int sign = 1;
    switch (draw(input, 0, 5)) {
      case 1: stride += draw<std::int64_t>(input, 1, 3) * itemsize; break;
      case 2: stride += draw<std::int64_t>(input, 1, 9); break;
      case 3: sign = -1; break;
      case 4: sign = 0; break;
      default: break;
    }
    layout.strides[d] = sign * stride;
    stride *= sign == 0 ? 1 : std::max<std::int64_t>(layout.shape[d], 1);
  }
}

Layout draw_layout(Input& input) {
  Layout layout;
  layout.dtype = &kDtypes[draw<std::size_t>(input, 0, kDtypes.size() - 1)];
  layout.transform = {one_in(input, 3), one_in(input, 3), one_in(input, 3)};
  layout.shape = draw_shape(input, layout.dtype->itemsize);
  set_dense_strides(layout);
  if (input.ConsumeBool()) {
    draw_strides(input, layout);
  }
  auto [low, high] = reach(layout);
  if (high - low > kMaxMemory) {
    set_dense_strides(layout);
    std::tie(low, high) = reach(layout);
  }
  layout.origin = -low + draw(input, 0, 17);
  // The end of the memory is the end of the last element.
  const auto size = static_cast<std::size_t>(layout.origin + high);
  static const Bytes bytes = pattern(kMaxMemory + 64, 0);
  layout.memory.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
  if (layout.dtype->element_class == ElementClass::Bool) {
    for (std::byte& byte : layout.memory) {
      byte &= std::byte{1};
    }
  }
  for (int i = draw(input, 0, 3); i > 0; --i) {  // of bools one of another byte, for example
    std::byte& byte = layout.memory[draw<std::size_t>(input, 0, size - 1)];
    byte = std::byte{input.ConsumeIntegral<std::uint8_t>()};
  }
  return layout;
}

Bytes finish(Fold& fold) {
  Bytes out(kLeafBytes);
  out.resize(fold.finish(out.data()));
  return out;
}

Bytes fold_at_once(const Payload& payload) {
  Bytes out(kLeafBytes);
  out.resize(xxh3().fold(payload, out.data()));
  return out;
}

Bytes fold_in_steps(Input& input, const Payload& payload) {
  const auto fold = xxh3().start_fold(payload.size());
  for (;;) {
    const Deadline deadline = input.ConsumeBool() ? Deadline::min()
                                                  : std::chrono::steady_clock::now() +
                                                        std::chrono::microseconds(draw(input, 0, 100));
    if (fold->read(payload, deadline)) {
      return finish(*fold);
    }
  }
}

Bytes fold_pieces(Input& input, const Bytes& payload) {
  const auto fold = xxh3().start_fold(payload.size());
  auto begin = payload.begin();
  for (const std::size_t size : draw_pieces(input, payload.size(), 70 * kLeafBytes)) {
    const Bytes piece(begin, begin + static_cast<std::ptrdiff_t>(size));  // its memory ends where it ends
    fold->update(piece.data(), size);
    begin += static_cast<std::ptrdiff_t>(size);
  }
  return finish(*fold);
}

// Of pieces that are more or fewer bytes than was said.
void refuse_wrong_total(Input& input, const Bytes& payload) {
  const auto said = draw<std::size_t>(input, 0, 2 * payload.size() + 1);
  bool refused = false;
  try {
    const auto fold = xxh3().start_fold(said);
    fold->update(payload.data(), payload.size());
    finish(*fold);
  } catch (const std::length_error&) {
    refused = true;
  }
  EXPECT(refused == (said != payload.size()), "%zu bytes, said to be %zu", payload.size(), said);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const Layout layout = draw_layout(input);
  constexpr std::array kThreads{1u, 2u, 4u};
  set_num_threads(kThreads[draw<std::size_t>(input, 0, kThreads.size() - 1)]);

  const Bytes elements = expected_payload(layout);
  const Bytes expected = slow_tree(elements);
  const Payload payload(layout.data(), *layout.dtype, layout.shape, layout.strides, layout.transform);
  EXPECT(payload.size() == elements.size(), "%zu bytes, expected %zu", payload.size(), elements.size());
  EXPECT(fold_at_once(payload) == expected, "%zu bytes of %s", payload.size(), layout.dtype->name.data());
  EXPECT(fold_at_once(Payload(elements.data(), elements.size())) == expected, "%zu bytes", elements.size());
  if (payload.size() > kLeafBytes) {
    EXPECT(fold_in_steps(input, payload) == expected, "%zu bytes of %s", payload.size(),
           layout.dtype->name.data());
  }
  EXPECT(fold_pieces(input, elements) == expected, "%zu bytes", elements.size());
  refuse_wrong_total(input, elements);
  return 0;
}
