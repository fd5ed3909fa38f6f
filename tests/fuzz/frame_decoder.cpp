#include "frame_decoder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include "frame_integers.h"

namespace spec {
namespace {

constexpr std::uint64_t kNan = 0x7ff8000000000000u;
constexpr std::uint64_t kMost = ~std::uint64_t{0} >> 1;  // of a dimension, and of a tensor's bytes

// Whoever reads behind the end gets zeros, and is told at the end.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : left_(bytes) {}

  std::size_t left() const { return left_.size(); }
  bool at_end() const { return !failed_ && left_.empty(); }

  Bytes take(std::uint64_t count) {
    if (count > left_.size()) {
      failed_ = true;
      left_ = {};
      return {};
    }
    const auto taken = left_.first(static_cast<std::size_t>(count));
    left_ = left_.subspan(taken.size());
    return {taken.begin(), taken.end()};
  }
  std::uint8_t byte() {
    const Bytes one = take(1);
    return one.empty() ? std::uint8_t{0} : one[0];
  }
  std::uint64_t u64() {
    std::uint64_t number = 0;
    const Bytes eight = take(8);
    for (std::size_t i = 0; i < eight.size(); ++i) {
      number |= std::uint64_t{eight[i]} << (8 * i);
    }
    return number;
  }
  std::string len8() {
    const Bytes text = take(byte());
    return {text.begin(), text.end()};
  }

 private:
  std::span<const std::uint8_t> left_;
  bool failed_ = false;
};

// Bytes of tree(p) for a p of `length` bytes.
std::uint64_t folded_size(std::uint64_t length, const Format& format) {
  if (length > 8192 && !format.leaves) {
    return format.digest_bytes;
  }
  while (length > 8192) {
    length = (length / 8192 + (length % 8192 != 0)) * format.digest_bytes;
  }
  return length;
}

Folded take_folded(Reader& reader, std::uint64_t length, const Format& format) {
  return {length, reader.take(folded_size(length, format))};
}

std::optional<std::u32string> characters_of(const Bytes& bytes) {
  std::u32string characters;
  for (std::size_t i = 0; i < bytes.size();) {
    const std::uint8_t first = bytes[i++];
    const int ones = std::countl_one(first);
    if (ones == 1 || ones > 4) {
      return {};
    }
    const int more = std::max(ones - 1, 0);
    char32_t character = first & (0x7fu >> ones);
    for (int j = 0; j < more; ++j) {
      if (i == bytes.size() || (bytes[i] & 0xc0) != 0x80) {
        return {};
      }
      character = character << 6 | (bytes[i++] & 0x3f);
    }
    constexpr std::array<char32_t, 4> kLeast{0, 0x80, 0x800, 0x10000};
    if (character < kLeast[static_cast<std::size_t>(more)] || character > 0x10ffff) {
      return {};
    }
    characters.push_back(character);
  }
  return characters;
}

// The number of bytes follows from the number, -128 has two: others are no frame.
std::optional<Value> decode_int(Bytes bytes) {
  if (bytes.empty()) {
    return {};
  }
  const std::size_t size = bytes.size();
  const bool negative = (bytes.back() & 0x80) != 0;
  if (negative) {
    negate(bytes);
  }
  while (!bytes.empty() && bytes.back() == 0) {
    bytes.pop_back();
  }
  if (bit_length(bytes) / 8 + 1 != size) {
    return {};
  }
  return Int{negative, bytes};
}

// Every NaN stands as one.
bool is_number(std::uint64_t bits) {
  const bool is_nan = (bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
  return !is_nan || bits == kNan;
}

std::optional<Value> decode_text(Reader& reader, const Format& format) {
  Folded utf8 = take_folded(reader, reader.u64(), format);
  if (!utf8.in_place()) {
    return LongText{std::move(utf8)};
  }
  if (auto characters = characters_of(utf8.bytes)) {
    return ShortText{*std::move(characters)};
  }
  return {};
}

std::optional<Value> decode_list(Reader& reader, const Format& format) {
  const std::uint64_t count = reader.u64();
  if (reader.left() / format.digest_bytes != count) {
    return {};
  }
  List list;
  for (std::uint64_t i = 0; i < count; ++i) {
    list.identities.push_back(reader.take(format.digest_bytes));
  }
  return list;
}

std::optional<Value> decode_mapping(Reader& reader, const Format& format) {
  const std::uint64_t count = reader.u64();
  if (reader.left() / (2 * format.digest_bytes) != count) {
    return {};
  }
  Mapping mapping;
  for (std::uint64_t i = 0; i < count; ++i) {
    Bytes key = reader.take(format.digest_bytes);
    mapping.entries.emplace_back(std::move(key), reader.take(format.digest_bytes));
  }
  if (!std::is_sorted(mapping.entries.begin(), mapping.entries.end())) {
    return {};
  }
  return mapping;
}

// Bytes of an element, or 0: there is no such dtype.
std::uint64_t itemsize(std::string_view dtype) {
  using Names = std::initializer_list<std::string_view>;
  const auto among = [dtype](Names names) {
    return std::find(names.begin(), names.end(), dtype) != names.end();
  };
  if (among({"bool", "int8", "uint8", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
             "float8_e8m0fnu"})) {
    return 1;
  }
  if (among({"int16", "uint16", "float16", "bfloat16"})) {
    return 2;
  }
  if (among({"int32", "uint32", "float32"})) {
    return 4;
  }
  if (among({"int64", "uint64", "float64", "complex64"})) {
    return 8;
  }
  return dtype == "complex128" ? 16 : 0;
}

// Nothing where a tensor cannot have that shape.
std::optional<std::uint64_t> tensor_bytes(std::uint64_t size, const std::vector<std::uint64_t>& shape) {
  if (std::any_of(shape.begin(), shape.end(), [](std::uint64_t extent) { return extent > kMost; })) {
    return {};
  }
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    return 0;  // however large the others are
  }
  for (const std::uint64_t extent : shape) {
    if (size > kMost / extent) {
      return {};
    }
    size *= extent;
  }
  return size;
}

std::optional<Value> decode_tensor(Reader& reader, const Format& format) {
  Tensor tensor;
  tensor.dtype = reader.len8();
  const std::uint64_t size = itemsize(tensor.dtype);
  tensor.shape.resize(reader.byte());
  for (std::uint64_t& extent : tensor.shape) {
    extent = reader.u64();
  }
  const std::optional<std::uint64_t> length = tensor_bytes(size, tensor.shape);
  if (size == 0 || !length) {
    return {};
  }
  tensor.payload = take_folded(reader, *length, format);
  const Bytes& bytes = tensor.payload.bytes;
  if (tensor.dtype == "bool" && tensor.payload.in_place() &&
      std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte > 1; })) {
    return {};
  }
  return tensor;
}

Image decode_image(Reader& reader, const Format& format) {
  Image image;
  image.mode = reader.len8();
  image.width = reader.u64();
  image.height = reader.u64();
  for (Bytes* part : {&image.palette, &image.transparency, &image.pixels}) {
    *part = reader.take(format.digest_bytes);
  }
  return image;
}

std::optional<Value> decode_parts(char kind, Reader& reader, const Format& format) {
  switch (kind) {
    case 'N': return None{};
    case 'B': {
      const std::uint8_t byte = reader.byte();
      return byte <= 1 ? std::optional<Value>(Bool{byte == 1}) : std::nullopt;
    }
    case 'I': return decode_int(reader.take(reader.left()));
    case 'F': {
      const std::uint64_t bits = reader.u64();
      return is_number(bits) ? std::optional<Value>(Float{bits}) : std::nullopt;
    }
    case 'C': {
      const std::uint64_t real = reader.u64(), imaginary = reader.u64();
      return is_number(real) && is_number(imaginary) ? std::optional<Value>(Complex{real, imaginary})
                                                     : std::nullopt;
    }
    case 'S': return decode_text(reader, format);
    case 'Y': return Buffer{take_folded(reader, reader.u64(), format)};
    case 'L': return decode_list(reader, format);
    case 'M': return decode_mapping(reader, format);
    case 'T': return decode_tensor(reader, format);
    case 'P': return decode_image(reader, format);
    default: return {};
  }
}

}  // namespace

std::optional<Value> decode(std::span<const std::uint8_t> frame, const Format& format) {
  constexpr std::string_view kMark = "mmh1";
  if (frame.size() <= kMark.size() || !std::equal(kMark.begin(), kMark.end(), frame.begin())) {
    return {};
  }
  Reader reader(frame.subspan(kMark.size() + 1));
  std::optional<Value> value = decode_parts(static_cast<char>(frame[kMark.size()]), reader, format);
  return reader.at_end() ? std::move(value) : std::nullopt;
}

}  // namespace spec
