// XXH3-128 of 1 to 240 bytes by one thread: what is left after the last whole leaf. Speed does not matter.
#pragma once

#include "devices/cuda/xxh3/leaf.cuh"

namespace mmhash::cuda {

struct Hash {
  u64 low, high;
};

__device__ __noinline__ u64 read_bytes(const u8* bytes, u32 count) {
  u64 word = 0;
#pragma unroll 1
  for (u32 i = 0; i < count; ++i) {
    word |= static_cast<u64>(bytes[i]) << (8 * i);
  }
  return word;
}

__device__ inline u64 read32(const u8* bytes) {
  return read_bytes(bytes, 4);
}

__device__ inline u64 read64(const u8* bytes) {
  return read_bytes(bytes, 8);
}

__device__ inline u32 swapped32(u32 word) {
  return word << 24 | (word & 0xff00u) << 8 | (word >> 8 & 0xff00u) | word >> 24;
}

__device__ inline u64 swapped64(u64 word) {
  return static_cast<u64>(swapped32(static_cast<u32>(word))) << 32 | swapped32(static_cast<u32>(word >> 32));
}

__device__ inline u64 avalanche64(u64 hash) {  // XXH64's
  hash = (hash ^ (hash >> 33)) * kPrime64_2;
  hash = (hash ^ (hash >> 29)) * kPrime64_3;
  return hash ^ (hash >> 32);
}

__device__ inline Hash hash_1_to_3(const u8* bytes, u32 size) {
  const u32 first = bytes[0], middle = bytes[size / 2], last = bytes[size - 1];
  const u32 low = first << 16 | middle << 24 | last | size << 8;
  const u32 turned = swapped32(low);
  const u32 high = turned << 13 | turned >> 19;
  return {avalanche64(low ^ (kSecret<0> & 0xffffffffu) ^ (kSecret<4> & 0xffffffffu)),
          avalanche64(high ^ (kSecret<8> & 0xffffffffu) ^ (kSecret<12> & 0xffffffffu))};
}

__device__ inline Hash hash_4_to_8(const u8* bytes, u32 size) {
  const u64 keyed = (read32(bytes) | read32(bytes + size - 4) << 32) ^ kSecret<16> ^ kSecret<24>;
  const u64 factor = kPrime64_1 + (size << 2);
  u64 low = keyed * factor, high = __umul64hi(keyed, factor);
  high += low << 1;
  low ^= high >> 3;
  low = (low ^ (low >> 35)) * 0x9FB21C651E98DF25u;
  return {low ^ (low >> 28), avalanche(high)};
}

__device__ inline Hash hash_9_to_16(const u8* bytes, u32 size) {
  const u64 first = read64(bytes), last = read64(bytes + size - 8);
  const u64 keyed = first ^ last ^ kSecret<32> ^ kSecret<40>;
  const u64 other = last ^ kSecret<48> ^ kSecret<56>;
  u64 low = keyed * kPrime64_1 + (static_cast<u64>(size - 1) << 54);
  const u64 high = __umul64hi(keyed, kPrime64_1) + other + (other & 0xffffffffu) * (kPrime32_2 - 1);
  low ^= swapped64(high);
  return {avalanche(low * kPrime64_2), avalanche(__umul64hi(low, kPrime64_2) + high * kPrime64_2)};
}

struct SecretWords {
  u64 at[24];
};

__device__ constexpr SecretWords secret_words() {
  SecretWords words{};
  for (u32 i = 0; i < 24; ++i) {
    words.at[i] = secret_word(8 * i);
  }
  return words;
}

__constant__ SecretWords kSecretWords = secret_words();

// The word of the secret at any offset up to 184.
__device__ inline u64 secret_at(u32 at) {
  const u32 shift = 8 * (at % 8);
  const u64 low = kSecretWords.at[at / 8];
  return shift == 0 ? low : low >> shift | kSecretWords.at[at / 8 + 1] << (64 - shift);
}

__device__ inline u64 mix16(const u8* bytes, u32 at) {
  return folded_product(read64(bytes) ^ secret_at(at), read64(bytes + 8) ^ secret_at(at + 8));
}

__device__ __noinline__ void mix32(Hash& sum, const u8* first, const u8* second, u32 at) {
  sum.low = (sum.low + mix16(first, at)) ^ (read64(second) + read64(second + 8));
  sum.high = (sum.high + mix16(second, at + 16)) ^ (read64(first) + read64(first + 8));
}

__device__ inline Hash merged_short(const Hash& sum, u32 size) {
  const u64 high = sum.low * kPrime64_1 + sum.high * kPrime64_4 + size * kPrime64_2;
  return {avalanche(sum.low + sum.high), 0 - avalanche(high)};
}

__device__ inline Hash hash_17_to_128(const u8* bytes, u32 size) {
  Hash sum{size * kPrime64_1, 0};
#pragma unroll 1
  for (u32 i = (size - 1) / 32 + 1; i-- > 0;) {
    mix32(sum, bytes + 16 * i, bytes + size - 16 * (i + 1), 32 * i);
  }
  return merged_short(sum, size);
}

__device__ inline Hash hash_129_to_240(const u8* bytes, u32 size) {
  Hash sum{size * kPrime64_1, 0};
#pragma unroll 1
  for (u32 i = 0; i < 4; ++i) {
    mix32(sum, bytes + 32 * i, bytes + 32 * i + 16, 32 * i);
  }
  sum = {avalanche(sum.low), avalanche(sum.high)};
#pragma unroll 1
  for (u32 i = 4; i < size / 32; ++i) {
    mix32(sum, bytes + 32 * i, bytes + 32 * i + 16, 3 + 32 * (i - 4));
  }
  mix32(sum, bytes + size - 16, bytes + size - 32, 136 - 17 - 16);
  return merged_short(sum, size);
}

__device__ inline Hash hash_short(const u8* bytes, u32 size) {
  if (size <= 3) {
    return hash_1_to_3(bytes, size);
  }
  if (size <= 8) {
    return hash_4_to_8(bytes, size);
  }
  if (size <= 16) {
    return hash_9_to_16(bytes, size);
  }
  return size <= 128 ? hash_17_to_128(bytes, size) : hash_129_to_240(bytes, size);
}

}  // namespace mmhash::cuda
