#include "identity/layout.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

static_assert(std::endian::native == std::endian::little,
              "payloads are little-endian; a big-endian host needs swap_bytes inverted in layout.cpp");

namespace mmhash {
namespace {

// Copies `count` elements that lie `from_stride` bytes apart to where they lie `to_stride` bytes apart. The
// size is a template argument so that each copy is one load and one store; memcpy, because strided elements
// need not be aligned.
template <std::size_t kSize>
void copy_elements(const std::byte* from, std::int64_t from_stride, std::byte* to, std::int64_t to_stride,
                   std::int64_t count) {
  for (; count > 0; --count, from += from_stride, to += to_stride) {
    std::memcpy(to, from, kSize);
  }
}

// Rows of elements, of which each row lies dense in `to` and after the one before.
struct Plane {
  std::int64_t rows, columns;
  std::int64_t row_stride, column_stride;  // in `from`, in bytes
};

// Column by column, where neighbours in a column are nearer to each other than neighbours in a row: row by
// row each element would come from another cache line, often of another page, which is gone when the next row
// needs it. In tiles of 8 by 8, since lines whose distance is a power of two share the 8 ways of one set;
// measured on Zen 3 against tiles of 4 to 64: a transposed 4096x1024 float32 takes 10 ms instead of 28.
template <std::size_t kSize>
void copy_transposed(const std::byte* from, const Plane& plane, std::byte* to) {
  constexpr std::int64_t kTile = 8;
  const std::int64_t to_stride = plane.columns * static_cast<std::int64_t>(kSize);
  for (std::int64_t column = 0; column < plane.columns; column += kTile) {
    const std::int64_t end = std::min(column + kTile, plane.columns);
    for (std::int64_t row = 0; row < plane.rows; row += kTile) {
      const std::int64_t count = std::min(kTile, plane.rows - row);
      for (std::int64_t c = column; c < end; ++c) {
        const std::byte* source = from + row * plane.row_stride + c * plane.column_stride;
        std::byte* target = to + row * to_stride + c * static_cast<std::int64_t>(kSize);
        if (count == kTile) {  // so that the compiler unrolls it
          copy_elements<kSize>(source, plane.row_stride, target, to_stride, kTile);
        } else {
          copy_elements<kSize>(source, plane.row_stride, target, to_stride, count);
        }
      }
    }
  }
}

template <std::size_t kSize>
void copy_plane(const std::byte* from, const Plane& plane, std::byte* to) {
  constexpr auto kStride = static_cast<std::int64_t>(kSize);
  if (plane.rows > 1 && std::abs(plane.row_stride) < std::abs(plane.column_stride)) {
    copy_transposed<kSize>(from, plane, to);
    return;
  }
  for (std::int64_t row = 0; row < plane.rows; ++row) {
    if (plane.column_stride == kStride) {
      std::memcpy(to, from, static_cast<std::size_t>(plane.columns) * kSize);
    } else {
      copy_elements<kSize>(from, plane.column_stride, to, kStride, plane.columns);
    }
    from += plane.row_stride;
    to += plane.columns * kStride;
  }
}

void copy_plane(const std::byte* from, const Plane& plane, std::byte* to, std::size_t itemsize) {
  switch (itemsize) {
    case 1: return copy_plane<1>(from, plane, to);
    case 2: return copy_plane<2>(from, plane, to);
    case 4: return copy_plane<4>(from, plane, to);
    case 8: return copy_plane<8>(from, plane, to);
    default: return copy_plane<16>(from, plane, to);
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

// True if no byte is other than 0 and 1. Without an early exit, and in vectors of the compiler's, which does
// not find them itself at every level of optimisation.
bool canonical_bools(const std::byte* block, std::size_t size) {
  using Vector [[gnu::vector_size(16)]] = std::uint64_t;
  Vector a{}, b{}, c{}, d{};  // four, for one waits for the one before
  std::size_t i = 0;
  for (; i + 64 <= size; i += 64) {
    Vector v[4];
    std::memcpy(v, block + i, sizeof v);
    a |= v[0];
    b |= v[1];
    c |= v[2];
    d |= v[3];
  }
  const Vector seen = (a | b) | (c | d);
  std::uint64_t all = seen[0] | seen[1];
  for (; i < size; ++i) {
    all |= std::to_integer<std::uint64_t>(block[i]);
  }
  return (all & 0xfefefefefefefefeu) == 0;
}

void make_canonical_bools(std::byte* block, std::size_t size) {
  constexpr std::uint64_t kLow = 0x7f7f7f7f7f7f7f7fu;
  const std::size_t whole = size - size % 8;
  each_word<std::uint64_t>(block, whole, 0, 1, [](std::uint64_t bytes) {
    return (((bytes & kLow) + kLow) | bytes) >> 7 & 0x0101010101010101u;
  });
  each_word<std::uint8_t>(block + whole, size - whole, 0, 1,
                          [](std::uint8_t byte) { return static_cast<std::uint8_t>(byte != 0); });
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
    : data_(static_cast<const std::byte*>(data)), size_(size), in_place_(true), verbatim_(true) {}

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
  verbatim_ = in_place_ && dtype.element_class != ElementClass::Bool;
}

const std::byte* Payload::read_block(std::size_t offset, std::size_t size, std::byte* scratch) const {
  if (in_place_ && canonical_bools(data_ + offset, size)) {
    return data_ + offset;
  }
  gather(offset, size, scratch);
  return scratch;
}

void Payload::gather(std::size_t offset, std::size_t size, std::byte* out) const {
  const auto itemsize = static_cast<std::int64_t>(dtype_.itemsize);
  if (ndim_ == 0) {
    std::memcpy(out, data_, size);
  } else {
    // Where the element at `offset` lies: its index in every dimension, innermost first.
    std::int64_t index[kMaxDims];
    const std::byte* from = data_;
    std::int64_t rest = static_cast<std::int64_t>(offset) / itemsize;
    for (int d = ndim_ - 1; d >= 0; --d) {
      index[d] = rest % shape_[d];
      rest /= shape_[d];
      from += index[d] * strides_[d];
    }
    const int last = ndim_ - 1;
    std::byte* to = out;
    for (std::int64_t left = static_cast<std::int64_t>(size) / itemsize; left > 0;) {
      // As many whole rows as the next outer dimension has, or what there is of one.
      Plane plane{1, std::min(left, shape_[last] - index[last]), 0, strides_[last]};
      int stepped = last;
      if (ndim_ > 1 && plane.columns == shape_[last]) {
        stepped = last - 1;
        plane.rows = std::min(left / plane.columns, shape_[stepped] - index[stepped]);
        plane.row_stride = strides_[stepped];
      }
      copy_plane(from, plane, to, dtype_.itemsize);
      left -= plane.rows * plane.columns;
      to += plane.rows * plane.columns * itemsize;
      // Step what was copied, with carry.
      std::int64_t step = stepped == last ? plane.columns : plane.rows;
      for (int d = stepped; d >= 0; --d) {
        index[d] += step;
        from += step * strides_[d];
        if (index[d] < shape_[d]) {
          break;
        }
        from -= shape_[d] * strides_[d];
        index[d] = 0;
        step = 1;
      }
    }
  }
  if (!transform_.none()) {
    transform_block(out, size, dtype_, transform_);
  }
  if (dtype_.element_class == ElementClass::Bool) {
    make_canonical_bools(out, size);
  }
}

}  // namespace mmhash
