/* The body that every per-ISA file shares. The includer has defined XXH_VECTOR and MMHASH_ISA and is
 * compiled with that ISA's flags; XXH_INLINE_ALL makes every xxHash function static to the file, so
 * that no instruction of one ISA can be linked into another's path.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "kernel.h"

#if XXH_VERSION_NUMBER < 800
#error "xxHash 0.8.0 or newer is needed: XXH3's output was not final before it"
#endif

#define MMHASH_CONCAT_(a, b) a##b
#define MMHASH_CONCAT(a, b) MMHASH_CONCAT_(a, b)
#define MMHASH_STRING_(a) #a
#define MMHASH_STRING(a) MMHASH_STRING_(a)

/* In place: copied from a variable, two stores of 8 bytes would be waited for by one load of 16 (store
 * forwarding), 5 ns. The type is a struct of 16 unsigned char. */
static void write_canonical(XXH128_hash_t hash, unsigned char digest[16]) {
  XXH128_canonicalFromHash((XXH128_canonical_t*)digest, hash);
}

static void stream_joined(const void* head, size_t head_size, const void* data, size_t size,
                          unsigned char digest[16]) {
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, head, head_size);
  XXH3_128bits_update(&state, data, size);
  write_canonical(XXH3_128bits_digest(&state), digest);
}

#ifdef VEC_LOAD
#include "kernel_vectors.h"
#else
#include "kernel_xxhash.h"
#endif

/* One state for both widths: XXH3 tells 64 from 128 bits only in the digest. */
static mmhash_stream* stream_open(uint64_t seed) {
  XXH3_state_t* state = XXH3_createState();
  if (state != NULL) {
    XXH3_INITSTATE(state);
    XXH3_128bits_reset_withSeed(state, seed);
  }
  return (mmhash_stream*)state;
}

static void stream_update(mmhash_stream* stream, const void* data, size_t size) {
  XXH3_128bits_update((XXH3_state_t*)stream, data, size);
}

static uint64_t stream_digest64(const mmhash_stream* stream) {
  return XXH3_64bits_digest((const XXH3_state_t*)stream);
}

static void stream_digest128(const mmhash_stream* stream, unsigned char digest[16]) {
  write_canonical(XXH3_128bits_digest((const XXH3_state_t*)stream), digest);
}

static void stream_close(mmhash_stream* stream) {
  XXH3_freeState((XXH3_state_t*)stream);
}

const mmhash_kernel MMHASH_CONCAT(mmhash_kernel_, MMHASH_ISA) = {
    MMHASH_STRING(MMHASH_ISA),
    hash64,
    hash128,
    hash128_joined,
    hash128_leaves,
    stream_open,
    stream_update,
    stream_digest64,
    stream_digest128,
    stream_close,
};
