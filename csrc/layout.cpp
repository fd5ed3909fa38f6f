#include "layout.h"

#include <algorithm>
#include <bit>
#include <cstring>

static_assert(std::endian::native == std::endian::little,
              "payloads are little-endian; a big-endian host needs swap_bytes inverted in layout.cpp");

namespace mmhash {
namespace {

// Copies `count` elements that lie `stride` bytes apart. The size is a template argument so that each
// copy is one load and one store; memcpy, because strided elements need not be aligned.
template <std::size_t kSize>
void copy_elements(const std::byte* from, std::int64_t stride, std::byte* to, std::size_t count) {
  for (; count > 0; --count, from += stride, to += kSize) {
    std::memcpy(to, from, kSize);
  }
}

void copy_run(const std::byte* from, std::int64_t stride, std::byte* to, std::size_t count,
              std::size_t itemsize) {
  if (stride == static_cast<std::int64_t>(itemsize)) {
    std::memcpy(to, from, count * itemsize);
    return;
  }
  switch (itemsize) {
    case 1: return copy_elements<1>(from, stride, to, count);
    case 2: return copy_elements<2>(from, stride, to, count);
    case 4: return copy_elements<4>(from, stride, to, count);
    case 8: return copy_elements<8>(from, stride, to, count);
    default: return copy_elements<16>(from, stride, to, count);
  }
}

// Calls f with every `kSize`-byte unsigned integer in the block, as a value to change.
template <typename Word, typename F>
void each_word(std::byte* block, std::size_t size, std::size_t first, std::size_t step, F f) {
  for (std::size_t i = first * sizeof(Word); i < size; i += step * sizeof(Word)) {
    Word word;
    std::memcpy(&word, block + i, sizeof word);
    word = f(word);
    std::memcpy(block + i, &word, sizeof word);
  }
}

template <typename Word>
constexpr Word byte_swapped(Word word) {
  if constexpr (sizeof(Word) == 1) {
    return word;
  } else if constexpr (sizeof(Word) == 2) {
    return __builtin_bswap16(word);
  } else if constexpr (sizeof(Word) == 4) {
    return __builtin_bswap32(word);
  } else {
    return __builtin_bswap64(word);
  }
}

// `Word` is the size of one number: of an element, or of each half of a complex one.
template <typename Word>
void transform_words(std::byte* block, std::size_t size, ElementClass element_class, Transform t) {
  constexpr Word kSign = static_cast<Word>(Word{1} << (8 * sizeof(Word) - 1));
  const auto flip_sign = [](Word w) { return static_cast<Word>(w ^ kSign); };
  if (t.swap_bytes) {
    each_word<Word>(block, size, 0, 1, byte_swapped<Word>);
  }
  if (t.conjugate && element_class == ElementClass::Complex) {
    each_word<Word>(block, size, 1, 2, flip_sign);
  }
  if (t.negate) {
    if (element_class == ElementClass::Integer) {
      each_word<Word>(block, size, 0, 1, [](Word w) { return static_cast<Word>(Word{0} - w); });
    } else {
      each_word<Word>(block, size, 0, 1, flip_sign);
    }
  }
}

void transform_block(std::byte* block, std::size_t size, const Dtype& dtype, Transform transform) {
  const bool complex = dtype.element_class == ElementClass::Complex;
  switch (complex ? dtype.itemsize / 2 : dtype.itemsize) {
    case 1: return transform_words<std::uint8_t>(block, size, dtype.element_class, transform);
    case 2: return transform_words<std::uint16_t>(block, size, dtype.element_class, transform);
    case 4: return transform_words<std::uint32_t>(block, size, dtype.element_class, transform);
    default: return transform_words<std::uint64_t>(block, size, dtype.element_class, transform);
  }
}

}  // namespace

bool checked_size(std::span<const std::int64_t> shape, std::size_t itemsize, std::size_t& size) {
  // An empty array is empty however large its other dimensions are.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    size = 0;
    return true;
  }
  std::int64_t total = static_cast<std::int64_t>(itemsize);
  for (const std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(total, extent, &total)) {
      return false;
    }
  }
  size = static_cast<std::size_t>(total);
  return true;
}

Payload::Payload(const void* data, std::size_t size)
    : data_(static_cast<const std::byte*>(data)), size_(size), in_place_(true) {}

Payload::Payload(const void* data, const Dtype& dtype, std::span<const std::int64_t> shape,
                 std::span<const std::int64_t> strides, Transform transform)
    : data_(static_cast<const std::byte*>(data)), transform_(transform), dtype_(dtype) {
  checked_size(shape, dtype.itemsize, size_);
  // The stride of a dimension of extent 1 means nothing, and neighbours that continue each other are one
  // dimension. What is left of a contiguous array is at most one dimension with the itemsize as stride.
  if (size_ > 0) {
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 1) {
        continue;
      }
      if (ndim_ > 0 && strides_[ndim_ - 1] == shape[i] * strides[i]) {
        shape_[ndim_ - 1] *= shape[i];
        strides_[ndim_ - 1] = strides[i];
      } else {
        shape_[ndim_] = shape[i];
        strides_[ndim_] = strides[i];
        ++ndim_;
      }
    }
  }
  const bool dense = ndim_ == 0 || (ndim_ == 1 && strides_[0] == dtype.itemsize);
  in_place_ = size_ == 0 || (dense && transform.none());
}

void Payload::gather(std::size_t offset, std::size_t size, std::byte* out) const {
  const std::size_t itemsize = dtype_.itemsize;
  if (ndim_ == 0) {
    std::memcpy(out, data_, size);
  } else {
    // Where the element at `offset` lies: its index in every dimension, innermost first.
    std::int64_t index[kMaxDims];
    const std::byte* from = data_;
    std::int64_t rest = static_cast<std::int64_t>(offset / itemsize);
    for (int d = ndim_ - 1; d >= 0; --d) {
      index[d] = rest % shape_[d];
      rest /= shape_[d];
      from += index[d] * strides_[d];
    }
    const int last = ndim_ - 1;
    std::byte* to = out;
    for (std::int64_t left = static_cast<std::int64_t>(size / itemsize);;) {
      const std::int64_t run = std::min(left, shape_[last] - index[last]);
      copy_run(from, strides_[last], to, static_cast<std::size_t>(run), itemsize);
      left -= run;
      if (left == 0) {
        break;
      }
      to += run * static_cast<std::int64_t>(itemsize);
      // The run ended with its dimension, as more is left: step the next outer index, with carry.
      from -= index[last] * strides_[last];
      index[last] = 0;
      for (int d = last - 1;; --d) {
        from += strides_[d];
        if (++index[d] < shape_[d]) {
          break;
        }
        from -= shape_[d] * strides_[d];
        index[d] = 0;
      }
    }
  }
  if (!transform_.none()) {
    transform_block(out, size, dtype_, transform_);
  }
}

}  // namespace mmhash
