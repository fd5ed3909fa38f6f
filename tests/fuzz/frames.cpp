// Unique decodability: no two values share a frame. Bytes that decode are the frame of what they decode to,
// and what the encoder of csrc makes of a value decodes to that value (its digests standing for what they are
// digests of). So values and frames correspond one to one.
#include <bit>
#include <cstring>

#include "cpp/recorder.h"
#include "cpp/slow_tree.h"
#include "frame_decoder.h"
#include "fuzz.h"
#include "identity/number_frames.h"

using namespace mmhash;
using spec::Bytes;

namespace {

constexpr std::size_t kMaxPayload = 3 * kLeafBytes;

// What is drawn for one frame: the value, and that it was encoded.
struct Drawn {
  spec::Value value;
  Bytes frame;
};

class Source {
 public:
  Source(Input& input, const spec::Format& format)
      : input_(input), format_(format), recorder_(format.digest_bytes) {}

  Drawn draw_value() {
    switch (draw(input_, 0, 9)) {
      case 0: return number(none_frame(), spec::None{});
      case 1: {
        const bool value = input_.ConsumeBool();
        return number(bool_frame(value), spec::Bool{value});
      }
      case 2: return draw_int();
      case 3: {
        const auto bits = draw_double();
        return number(float_frame(std::bit_cast<double>(bits)), spec::Float{canonical(bits)});
      }
      case 4: {
        const auto real = draw_double(), imaginary = draw_double();
        return number(complex_frame(std::bit_cast<double>(real), std::bit_cast<double>(imaginary)),
                      spec::Complex{canonical(real), canonical(imaginary)});
      }
      case 5: return draw_text();
      case 6: return draw_buffer();
      case 7: return draw_list();
      case 8: return draw_mapping();
      default: return one_in(input_, 4) ? draw_image() : draw_tensor();
    }
  }

 private:
  // Bytes of the input, then a pattern.
  Bytes draw_bytes(std::size_t size) {
    const auto own = input_.ConsumeBytes<std::uint8_t>(draw<std::size_t>(input_, 0, size));
    const std::vector<std::byte> rest = pattern(size, 0);
    Bytes bytes(size);
    std::transform(rest.begin(), rest.end(), bytes.begin(), std::to_integer<std::uint8_t>);
    std::copy(own.begin(), own.end(), bytes.begin());
    return bytes;
  }
  Bytes draw_digest() { return draw_bytes(format_.digest_bytes); }

  std::uint64_t draw_double() {
    return input_.ConsumeBool() ? std::bit_cast<std::uint64_t>(static_cast<double>(draw(input_, -9, 9)))
                                : input_.ConsumeIntegral<std::uint64_t>();
  }
  static std::uint64_t canonical(std::uint64_t bits) {
    const double number = std::bit_cast<double>(bits);
    return number == number ? bits : 0x7ff8000000000000u;
  }

  Drawn number(const SmallFrame& frame, spec::Value value) {
    frame.digest(recorder_);
    return {std::move(value), recorder_.frame()};
  }

  Drawn draw_int() {
    auto value = input_.ConsumeIntegral<std::int64_t>();
    value >>= draw(input_, 0, 63);
    spec::Int expected{value < 0, {}};
    for (auto left = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
         left > 0; left >>= 8) {
      expected.magnitude.push_back(static_cast<std::uint8_t>(left));
    }
    return number(int_frame(value), expected);
  }

  // tree(payload), as docs/SPEC.md has it.
  spec::Folded folded(const Bytes& payload) {
    if (payload.size() <= kLeafBytes) {
      return {payload.size(), payload};
    }
    if (!format_.leaves) {
      return {payload.size(), Bytes(format_.digest_bytes, kFakeDigest)};
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(payload.data());
    const std::vector<std::byte> tree = slow_tree({bytes, bytes + payload.size()});
    Bytes digests(tree.size());
    std::transform(tree.begin(), tree.end(), digests.begin(), std::to_integer<std::uint8_t>);
    return {payload.size(), digests};
  }

  Bytes encoded(char kind, const Bytes& payload) {
    Frame frame(kind);
    frame.u64(payload.size());
    frame.digest(recorder_, Payload(payload.data(), payload.size()));
    return recorder_.frame();
  }

  Drawn draw_text() {
    std::u32string characters(draw_size(input_, kMaxPayload / 2), U'x');
    for (int i = draw(input_, 0, 20); i > 0 && !characters.empty(); --i) {
      characters[draw<std::size_t>(input_, 0, characters.size() - 1)] =
          draw<char32_t>(input_, 0, one_in(input_, 2) ? 0x10ffff : 0xffff);
    }
    const Bytes utf8 = spec::utf8(characters);
    const spec::Folded content = folded(utf8);
    spec::Value value = spec::LongText{content};
    if (content.in_place()) {
      value = spec::ShortText{characters};
    }
    return {std::move(value), encoded('S', utf8)};
  }

  Drawn draw_buffer() {
    const Bytes content = draw_bytes(draw_size(input_, kMaxPayload));
    return {spec::Buffer{folded(content)}, encoded('Y', content)};
  }

  Drawn draw_tensor() {
    const Dtype& dtype = kDtypes[draw<std::size_t>(input_, 0, kDtypes.size() - 1)];
    std::vector<std::int64_t> shape(draw<std::size_t>(input_, 0, one_in(input_, 16) ? kMaxDims : 6), 1);
    std::size_t left = draw_size(input_, kMaxPayload) / dtype.itemsize;
    for (int i = 0; i < 6 && !shape.empty(); ++i) {
      std::int64_t& extent = shape[draw<std::size_t>(input_, 0, shape.size() - 1)];
      if (extent == 1 && left > 0) {
        extent = draw<std::int64_t>(input_, 0, static_cast<std::int64_t>(left));
        left /= std::max<std::size_t>(static_cast<std::size_t>(extent), 1);
      }
    }
    std::size_t size = 0;
    EXPECT(checked_size(shape, dtype.itemsize, size) && size <= kMaxPayload, "%zu bytes", size);
    Bytes content = draw_bytes(size);
    std::vector<std::int64_t> strides(shape.size());
    std::int64_t stride = dtype.itemsize;
    for (std::size_t d = shape.size(); d-- > 0; stride *= shape[d]) {
      strides[d] = stride;
    }
    Frame frame(dtype, shape);
    frame.digest(recorder_, Payload(content.data(), dtype, shape, strides, {}));
    if (dtype.element_class == ElementClass::Bool) {
      std::transform(content.begin(), content.end(), content.begin(),
                     [](std::uint8_t byte) { return std::uint8_t{byte != 0}; });
    }
    return {spec::Tensor{std::string(dtype.name), {shape.begin(), shape.end()}, folded(content)},
            recorder_.frame()};
  }

  // Of a kind that is made of the identities of its parts.
  Bytes encoded(char kind, const Bytes& header, const Bytes& identities) {
    hash_frame(recorder_, kind, std::as_bytes(std::span(header)), std::as_bytes(std::span(identities)));
    return recorder_.frame();
  }
  static Bytes little_endian(std::uint64_t number) {
    Bytes bytes(8);
    std::memcpy(bytes.data(), &number, 8);
    return bytes;
  }
  static void append(Bytes& bytes, const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

  Drawn draw_list() {
    spec::List list;
    Bytes identities;
    for (auto i = draw<std::size_t>(input_, 0, one_in(input_, 8) ? 300 : 5); i > 0; --i) {
      list.identities.push_back(draw_digest());
      append(identities, list.identities.back());
    }
    const Bytes header = little_endian(list.identities.size());
    return {std::move(list), encoded('L', header, identities)};
  }

  Drawn draw_mapping() {
    spec::Mapping mapping;
    for (int i = draw(input_, 0, 5); i > 0; --i) {
      Bytes key = draw_digest();
      mapping.entries.emplace_back(std::move(key), draw_digest());
    }
    std::sort(mapping.entries.begin(), mapping.entries.end());
    Bytes identities;
    for (const auto& [key, item] : mapping.entries) {
      append(identities, key);
      append(identities, item);
    }
    const Bytes header = little_endian(mapping.entries.size());
    return {std::move(mapping), encoded('M', header, identities)};
  }

  Drawn draw_image() {
    spec::Image image{input_.ConsumeRandomLengthString(255),
                      input_.ConsumeIntegral<std::uint64_t>(),
                      input_.ConsumeIntegral<std::uint64_t>(),
                      draw_digest(),
                      draw_digest(),
                      draw_digest()};
    Bytes header{static_cast<std::uint8_t>(image.mode.size())}, identities;
    header.insert(header.end(), image.mode.begin(), image.mode.end());
    append(header, little_endian(image.width));
    append(header, little_endian(image.height));
    for (const Bytes& part : {image.palette, image.transparency, image.pixels}) {
      append(identities, part);
    }
    return {std::move(image), encoded('P', header, identities)};
  }

  Input& input_;
  spec::Format format_;
  Recorder recorder_;
};

void check_bytes(const Bytes& bytes, const spec::Format& format) {
  if (const std::optional<spec::Value> value = spec::decode(bytes, format)) {
    EXPECT(spec::encode(*value) == bytes, "%zu bytes decode to a value of another frame", bytes.size());
  }
}

void check_value(const Drawn& drawn, const spec::Format& format) {
  const std::optional<spec::Value> found = spec::decode(drawn.frame, format);
  EXPECT(found, "the frame of a value of kind %zu, %zu bytes, does not decode", drawn.value.index(),
         drawn.frame.size());
  EXPECT(*found == drawn.value, "the frame of a value of kind %zu, %zu bytes, decodes to another",
         drawn.value.index(), drawn.frame.size());
  EXPECT(spec::encode(*found) == drawn.frame, "kind %zu, %zu bytes", drawn.value.index(), drawn.frame.size());
}

}  // namespace

// The last byte of an input says which of the two it is, and the sizes of digests.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const int way = draw(input, 0, 3);
  const spec::Format& format = way % 2 == 0 ? spec::kXxh3 : spec::kWide;
  if (way < 2) {
    check_bytes(input.ConsumeRemainingBytes<std::uint8_t>(), format);
  } else {
    check_value(Source(input, format).draw_value(), format);
  }
  return 0;
}
