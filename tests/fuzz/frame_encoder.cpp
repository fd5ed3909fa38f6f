#include <string>
#include <utility>

#include "frame_decoder.h"
#include "frame_integers.h"

namespace spec {
namespace {

struct Encoder {
  Bytes out{'m', 'm', 'h', '1'};

  void byte(std::uint64_t value) { out.push_back(static_cast<std::uint8_t>(value)); }
  void u64(std::uint64_t value) {
    for (int i = 0; i < 8; ++i) {
      byte(value >> (8 * i) & 0xff);
    }
  }
  void bytes(const auto& values) { out.insert(out.end(), values.begin(), values.end()); }
  void len8(const std::string& text) {
    byte(text.size());
    bytes(text);
  }

  void operator()(const None&) { byte('N'); }
  void operator()(const Bool& value) {
    byte('B');
    byte(value.value);
  }
  void operator()(const Int& value) {
    Bytes twos = value.magnitude;
    twos.resize(bit_length(twos) / 8 + 1);
    if (value.negative) {
      negate(twos);
    }
    byte('I');
    bytes(twos);
  }
  void operator()(const Float& value) {
    byte('F');
    u64(value.bits);
  }
  void operator()(const Complex& value) {
    byte('C');
    u64(value.real);
    u64(value.imaginary);
  }
  void operator()(const ShortText& value) {
    const Bytes text = utf8(value.characters);
    byte('S');
    u64(text.size());
    bytes(text);
  }
  void operator()(const LongText& value) {
    byte('S');
    u64(value.utf8.length);
    bytes(value.utf8.bytes);
  }
  void operator()(const Buffer& value) {
    byte('Y');
    u64(value.content.length);
    bytes(value.content.bytes);
  }
  void operator()(const List& value) {
    byte('L');
    u64(value.identities.size());
    for (const Bytes& identity : value.identities) {
      bytes(identity);
    }
  }
  void operator()(const Mapping& value) {
    byte('M');
    u64(value.entries.size());
    for (const auto& [key, item] : value.entries) {
      bytes(key);
      bytes(item);
    }
  }
  void operator()(const Tensor& value) {
    byte('T');
    len8(value.dtype);
    byte(value.shape.size());
    for (const std::uint64_t extent : value.shape) {
      u64(extent);
    }
    bytes(value.payload.bytes);
  }
  void operator()(const Image& value) {
    byte('P');
    len8(value.mode);
    u64(value.width);
    u64(value.height);
    bytes(value.palette);
    bytes(value.transparency);
    bytes(value.pixels);
  }
};

}  // namespace

Bytes utf8(const std::u32string& characters) {
  Bytes bytes;
  for (const char32_t character : characters) {
    const int more = (character >= 0x80) + (character >= 0x800) + (character >= 0x10000);
    const unsigned lead = more == 0 ? 0 : 0xff00u >> (more + 1) & 0xff;
    bytes.push_back(static_cast<std::uint8_t>(lead | character >> (6 * more)));
    for (int i = more; i-- > 0;) {
      bytes.push_back(static_cast<std::uint8_t>(0x80 | (character >> (6 * i) & 0x3f)));
    }
  }
  return bytes;
}

Bytes encode(const Value& value) {
  Encoder encoder;
  std::visit(encoder, value);
  return std::move(encoder.out);
}

}  // namespace spec
