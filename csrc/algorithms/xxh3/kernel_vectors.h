/* XXH3 of long input with vectors of our own, in place of the loops of xxHash's header. The per-ISA file says
 * which operations there are on `vec` (VEC_...). All are on lanes of 64 bits; VEC_MUL32 multiplies the low
 * halves of lanes, VEC_ALL32 fills every half, VEC_SWAP exchanges neighbouring lanes.
 *
 * XXH3 (xxhash.com, doc/xxhash_spec.md) reads stripes of 64 bytes, each with 64 bytes of the secret, and
 * after each block of 16 stripes scrambles the accumulators. Otherwise than in the header:
 *
 * Register pinning. GCC 12 folds the load of a stripe into both of its uses: each line is read twice, and
 * where a stripe lies in two lines, that costs twice. PIN forbids it.
 *
 * Lazy swap. A stripe adds products and its swapped input to the accumulators. Swapping commutes with adding,
 * so a block's input is summed as it is, and the sum swapped once: five operations a vector, not six.
 *
 * Constant propagation. A leaf's secret and length are known: with AVX-512 all 16 keys stay in registers.
 *
 * Prefetching. VEC_PREFETCH says how far ahead of a stripe, if at all: it differs between processors.
 */
#define MMHASH_INLINE static inline __attribute__((always_inline))

/* Optimisation barrier: the value is in a register here, and the compiler knows nothing else of it. */
#if defined(__AVX512F__)
#define PIN(value) __asm__("" : "+v"(value))
#else
#define PIN(value) __asm__("" : "+x"(value))
#endif

enum {
  kVecs = XXH_STRIPE_LEN / sizeof(vec),
  kBlockStripes = (XXH_SECRET_DEFAULT_SIZE - XXH_STRIPE_LEN) / XXH_SECRET_CONSUME_RATE,
  kBlockBytes = kBlockStripes * XXH_STRIPE_LEN,
};

/* Accumulators, a stripe, or a stripe's key. */
typedef struct {
  vec part[kVecs];
} stripe;

MMHASH_INLINE stripe load(const void* address) {
  stripe loaded;
  for (size_t i = 0; i < kVecs; ++i) {
    loaded.part[i] = VEC_LOAD((const unsigned char*)address + i * sizeof(vec));
  }
  return loaded;
}

MMHASH_INLINE void accumulate(stripe* acc, const unsigned char* data, size_t count,
                              const unsigned char* secret) {
  stripe products, inputs;
  for (size_t i = 0; i < kVecs; ++i) {
    products.part[i] = inputs.part[i] = VEC_ZERO();
  }
  /* The sums are pinned too: as a chain. GCC makes a tree of the unrolled additions, and keeps all that they
   * add up on the stack until then: 30 GB/s in place of 50 (AVX2, Zen 3). */
#pragma GCC unroll 16
  for (size_t n = 0; n < count; ++n) {
    const stripe key = load(secret + n * XXH_SECRET_CONSUME_RATE);
    VEC_PREFETCH(data + n * XXH_STRIPE_LEN);
    for (size_t i = 0; i < kVecs; ++i) {
      vec input = VEC_LOAD(data + n * XXH_STRIPE_LEN + i * sizeof(vec));
      PIN(input);
      const vec keyed = VEC_XOR(input, key.part[i]);
      products.part[i] = VEC_ADD(products.part[i], VEC_MUL32(keyed, VEC_SHIFT_RIGHT(keyed, 32)));
      PIN(products.part[i]);
      inputs.part[i] = VEC_ADD(inputs.part[i], input);
      PIN(inputs.part[i]);
    }
  }
  for (size_t i = 0; i < kVecs; ++i) {
    acc->part[i] = VEC_ADD(acc->part[i], VEC_ADD(products.part[i], VEC_SWAP(inputs.part[i])));
  }
}

MMHASH_INLINE void scramble(stripe* acc, const unsigned char* secret) {
  const stripe key = load(secret + XXH_SECRET_DEFAULT_SIZE - XXH_STRIPE_LEN);
  const vec prime = VEC_ALL32(XXH_PRIME32_1);
  for (size_t i = 0; i < kVecs; ++i) {
    const vec folded = VEC_XOR(acc->part[i], VEC_SHIFT_RIGHT(acc->part[i], 47));
    const vec keyed = VEC_XOR(folded, key.part[i]);
    const vec high = VEC_MUL32(VEC_SHIFT_RIGHT(keyed, 32), prime);
    acc->part[i] = VEC_ADD(VEC_MUL32(keyed, prime), VEC_SHIFT_LEFT(high, 32));
  }
}

MMHASH_INLINE stripe start(void) {
  const uint64_t first[] = XXH3_INIT_ACC;
  return load(first);
}

/* A block that is not the last. */
MMHASH_INLINE void whole_block(stripe* acc, const unsigned char* data, const unsigned char* secret) {
  accumulate(acc, data, kBlockStripes, secret);
  scramble(acc, secret);
}

/* All of the input that is left, more than 0 bytes. Its last 64 bytes are a stripe of their own, for which
 * there must be 64 bytes before the end, if need be before `data`. */
MMHASH_INLINE void finish(stripe* acc, const unsigned char* data, size_t size, const unsigned char* secret) {
  for (; size > kBlockBytes; data += kBlockBytes, size -= kBlockBytes) {
    whole_block(acc, data, secret);
  }
  accumulate(acc, data, (size - 1) / XXH_STRIPE_LEN, secret);
  accumulate(acc, data + size - XXH_STRIPE_LEN, 1,
             secret + XXH_SECRET_DEFAULT_SIZE - XXH_STRIPE_LEN - XXH_SECRET_LASTACC_START);
}

/* The header has this too, but GCC calls it there: inlined, with constant keys, 5 % of a leaf. */
MMHASH_INLINE uint64_t merge(const stripe* acc, const unsigned char* secret, uint64_t sum) {
  uint64_t lanes[8], keys[8];
  memcpy(lanes, acc, sizeof lanes);
  memcpy(keys, secret, sizeof keys);
  for (size_t i = 0; i < 8; i += 2) {
    const unsigned __int128 product = (unsigned __int128)(lanes[i] ^ keys[i]) * (lanes[i + 1] ^ keys[i + 1]);
    sum += (uint64_t)product ^ (uint64_t)(product >> 64);
  }
  return XXH3_avalanche(sum);
}

MMHASH_INLINE void write_big_endian(unsigned char* to, uint64_t number) {
  number = __builtin_bswap64(number);
  memcpy(to, &number, sizeof number);
}

MMHASH_INLINE uint64_t digest_64(const stripe* acc, size_t size, const unsigned char* secret) {
  return merge(acc, secret + XXH_SECRET_MERGEACCS_START, size * XXH_PRIME64_1);
}

MMHASH_INLINE void digest_128(const stripe* acc, size_t size, const unsigned char* secret,
                              unsigned char digest[16]) {
  const size_t high_at = XXH_SECRET_DEFAULT_SIZE - XXH_STRIPE_LEN - XXH_SECRET_MERGEACCS_START;
  write_big_endian(digest, merge(acc, secret + high_at, ~(size * XXH_PRIME64_2)));
  write_big_endian(digest + 8, digest_64(acc, size, secret));
}

/* The default secret, or one made of the seed in `room`. */
static const unsigned char* secret_of(uint64_t seed, unsigned char room[XXH_SECRET_DEFAULT_SIZE]) {
  if (seed == 0) {
    return XXH3_kSecret;
  }
  XXH3_initCustomSecret_scalar(room, seed);
  return room;
}

static uint64_t hash64(const void* data, size_t size, uint64_t seed) {
  if (size <= XXH3_MIDSIZE_MAX) {
    return XXH3_64bits_withSeed(data, size, seed);
  }
  unsigned char room[XXH_SECRET_DEFAULT_SIZE];
  const unsigned char* secret = secret_of(seed, room);
  stripe acc = start();
  finish(&acc, (const unsigned char*)data, size, secret);
  return digest_64(&acc, size, secret);
}

static void hash128(const void* data, size_t size, uint64_t seed, unsigned char digest[16]) {
  if (size <= XXH3_MIDSIZE_MAX) {
    write_canonical(XXH3_128bits_withSeed(data, size, seed), digest);
    return;
  }
  unsigned char room[XXH_SECRET_DEFAULT_SIZE];
  const unsigned char* secret = secret_of(seed, room);
  stripe acc = start();
  finish(&acc, (const unsigned char*)data, size, secret);
  digest_128(&acc, size, secret, digest);
}

/* The first block is put together, all others are read in place. Short bodies and long heads, which are rare,
 * take the streaming mode, which costs 2.7 times as much at 4 KiB. */
static void hash128_joined(const void* head, size_t head_size, const void* data, size_t size,
                           unsigned char digest[16]) {
  if (head_size == 0) { /* then it may be null, which memcpy() must not be given */
    hash128(data, size, 0, digest);
    return;
  }
  if (head_size > kBlockBytes || size < 2 * kBlockBytes) {
    stream_joined(head, head_size, data, size, digest);
    return;
  }
  unsigned char first[kBlockBytes];
  const size_t taken = sizeof first - head_size;
  memcpy(first, head, head_size);
  memcpy(first + head_size, data, taken);
  stripe acc = start();
  whole_block(&acc, first, XXH3_kSecret);
  finish(&acc, (const unsigned char*)data + taken, size - taken, XXH3_kSecret);
  digest_128(&acc, head_size + size, XXH3_kSecret, digest);
}

static void hash128_leaves(const void* data, size_t count, unsigned char (*digests)[16]) {
  const unsigned char* leaf = (const unsigned char*)data;
  for (size_t i = 0; i < count; ++i, leaf += MMHASH_LEAF_BYTES) {
    stripe acc = start();
    finish(&acc, leaf, MMHASH_LEAF_BYTES, XXH3_kSecret);
    digest_128(&acc, MMHASH_LEAF_BYTES, XXH3_kSecret, digests[i]);
  }
}
