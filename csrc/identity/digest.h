// What an algorithm makes of a value. No Python here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mmhash {

inline constexpr std::size_t kMaxDigestBytes = 32;

// The first Algorithm::digest_bytes of it; the rest is zero, so that digests of one algorithm compare and
// sort as their bytes do.
using Digest = std::array<std::uint8_t, kMaxDigestBytes>;

}  // namespace mmhash
