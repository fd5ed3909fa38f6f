// The bytes that are hashed, spelled out from docs/SPEC.md.
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "identity/number_frames.h"
#include "recorder.h"

using namespace mmhash;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes frame_of(std::string kind_and_name, const Bytes& rest) {
  Bytes bytes{'m', 'm', 'h', '1'};
  bytes.insert(bytes.end(), kind_and_name.begin(), kind_and_name.end());
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

Bytes recorded(const SmallFrame& frame) {
  const Recorder recorder(xxh3().digest_bytes);
  frame.digest(recorder);
  return recorder.frame();
}

void check_ints() {
  constexpr long long kLeast = std::numeric_limits<long long>::min();
  const std::vector<std::pair<long long, Bytes>> cases{
      {0, {0}},
      {-1, {0xff}},
      {127, {0x7f}},
      {128, {0x80, 0}},
      {-127, {0x81}},
      {-128, {0x80, 0xff}},  // by the length of its magnitude, not of its two's complement
      {-129, {0x7f, 0xff}},
      {kLeast + 1, {1, 0, 0, 0, 0, 0, 0, 0x80}},
      {kLeast, {0, 0, 0, 0, 0, 0, 0, 0x80, 0xff}},
  };
  for (const auto& [value, bytes] : cases) {
    CHECK(recorded(int_frame(value)) == frame_of("I", bytes), "%lld", value);
  }
}

void check_other_numbers() {
  const Bytes nan{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, minus_zero{0, 0, 0, 0, 0, 0, 0, 0x80};
  CHECK(recorded(none_frame()) == frame_of("N", {}), "None");
  CHECK(recorded(bool_frame(true)) == frame_of("B", {1}), "True");
  CHECK(recorded(float_frame(-0.0)) == frame_of("F", minus_zero), "-0.0");
  CHECK(recorded(float_frame(-std::numeric_limits<double>::quiet_NaN())) == frame_of("F", nan), "NaN");
  Bytes parts = minus_zero;
  parts.insert(parts.end(), nan.begin(), nan.end());
  CHECK(recorded(complex_frame(-0.0, std::numeric_limits<double>::signaling_NaN())) == frame_of("C", parts),
        "complex");
}

// Its shape is empty, and the pointer to it may be null, from which nothing may be copied.
void check_tensor_without_dimensions() {
  const Recorder recorder(xxh3().digest_bytes);
  const std::array<std::uint8_t, 2> element{1, 2};
  const Dtype& dtype = *find_dtype("int16");
  Frame(dtype, {}).digest(recorder, Payload(element.data(), dtype, {}, {}, {}));
  const std::string name("T\x05int16");
  CHECK(recorder.frame() == frame_of(name, {0, 1, 2}), "a tensor without dimensions");
}

}  // namespace

int main() {
  check_ints();
  check_other_numbers();
  check_tensor_without_dimensions();
  std::printf("frames are as docs/SPEC.md has them\n");
}
