// BLAKE3's compression function (section 2.2 of its paper), for the kernels and for the host.
//
// The limit of the kernel, not memory, so its instructions are counted: on an H100 a multiprocessor has 64
// lanes for additions, rotations and XORs, and beside them 64 that multiply and add, which would have nothing
// to do. They take the additions of the message words: 1.92 TB/s became 2.20. Rounds are unrolled, so that
// permuting the message means naming other registers. No gain: rotations by wide multiplications, rolled
// rounds.
#pragma once

#ifdef __CUDACC__
#define MMHASH_ON_BOTH __device__ __forceinline__
#else
#define MMHASH_ON_BOTH inline
#endif

namespace mmhash::cuda::blake3 {

using Word = unsigned int;

// Flags.
inline constexpr Word kChunkStart = 1, kChunkEnd = 2, kParent = 4, kRoot = 8, kKeyed = 16;

inline constexpr Word kIv[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

// a + b where the multipliers compute it: `one` is 1 and comes from a kernel's parameter, or the compiler
// would make it an addition again. In assembly, since it would also add in another order: b is at hand long
// before a.
MMHASH_ON_BOTH Word plus(Word a, Word b, [[maybe_unused]] Word one) {
#ifdef __CUDA_ARCH__
  Word sum;
  asm("mad.lo.u32 %0, %1, %2, %3;" : "=r"(sum) : "r"(b), "r"(one), "r"(a));
  return sum;
#else
  return a + b;
#endif
}

template <int kBits>
MMHASH_ON_BOTH Word rotated(Word x) {
#ifdef __CUDA_ARCH__
  if (kBits % 8 == 0) {
    return __byte_perm(x, x, kBits == 16 ? 0x1032 : 0x0321);
  }
  return __funnelshift_r(x, x, kBits);
#else
  return x >> kBits | x << (32 - kBits);
#endif
}

MMHASH_ON_BOTH void mix(Word& a, Word& b, Word& c, Word& d, Word first, Word second, Word one) {
  a = plus(a, first, one) + b;
  d = rotated<16>(d ^ a);
  c += d;
  b = rotated<12>(b ^ c);
  a = plus(a, second, one) + b;
  d = rotated<8>(d ^ a);
  c += d;
  b = rotated<7>(b ^ c);
}

// The round in which word kOrder of the message comes where the first round has its place.
template <int... kOrder>
struct Round {
  static MMHASH_ON_BOTH void apply(Word (&v)[16], const Word (&m)[16], Word one) {
    constexpr int order[16] = {kOrder...};
    mix(v[0], v[4], v[8], v[12], m[order[0]], m[order[1]], one);
    mix(v[1], v[5], v[9], v[13], m[order[2]], m[order[3]], one);
    mix(v[2], v[6], v[10], v[14], m[order[4]], m[order[5]], one);
    mix(v[3], v[7], v[11], v[15], m[order[6]], m[order[7]], one);
    mix(v[0], v[5], v[10], v[15], m[order[8]], m[order[9]], one);
    mix(v[1], v[6], v[11], v[12], m[order[10]], m[order[11]], one);
    mix(v[2], v[7], v[8], v[13], m[order[12]], m[order[13]], one);
    mix(v[3], v[4], v[9], v[14], m[order[14]], m[order[15]], one);
  }
};

// The chaining value `cv` becomes that of the block `m` of `size` bytes. A chunk's `counter` in two halves.
MMHASH_ON_BOTH void compress(Word (&cv)[8], const Word (&m)[16], Word counter, Word counter_high, Word size,
                             Word flags, Word one) {
  Word v[16] = {cv[0],  cv[1],  cv[2],  cv[3],  cv[4],   cv[5],        cv[6], cv[7],
                kIv[0], kIv[1], kIv[2], kIv[3], counter, counter_high, size,  flags};
  Round<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15>::apply(v, m, one);
  Round<2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8>::apply(v, m, one);
  Round<3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1>::apply(v, m, one);
  Round<10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6>::apply(v, m, one);
  Round<12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4>::apply(v, m, one);
  Round<9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7>::apply(v, m, one);
  Round<11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13>::apply(v, m, one);
#ifdef __CUDACC__
#pragma unroll
#endif
  for (int i = 0; i < 8; ++i) {
    cv[i] = v[i] ^ v[i + 8];
  }
}

}  // namespace mmhash::cuda::blake3
