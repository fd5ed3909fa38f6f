/* What one instruction set offers: XXH3 compiled for it, behind one struct.
 *
 * Plain C, included by the per-ISA translation units and by dispatch.h. Nothing with a body
 * stands here on purpose: see the note "ISA flags stay in their file" in dispatch.cpp.
 */
#ifndef MMHASH_XXH3_KERNEL_H
#define MMHASH_XXH3_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* The leaf of identity v1 (docs/SPEC.md). */
#define MMHASH_LEAF_BYTES 8192

#ifdef __cplusplus
extern "C" {
#endif

/* XXH3 of bytes that arrive in pieces: its state, whose layout is the per-ISA file's own. */
typedef struct mmhash_stream mmhash_stream;

typedef struct mmhash_kernel {
  /* The ISA's one name: in its file, in MMHASH_ISA, in info() and in reports. */
  const char* isa;
  /* XXH3-64 of `size` bytes. */
  uint64_t (*hash64)(const void* data, size_t size, uint64_t seed);
  /* XXH3-128 of `size` bytes, written in canonical (big-endian) order. */
  void (*hash128)(const void* data, size_t size, uint64_t seed, unsigned char digest[16]);
  /* XXH3-128, seed 0, of `head` followed by `data`, without copying them together. */
  void (*hash128_joined)(const void* head, size_t head_size, const void* data, size_t size,
                         unsigned char digest[16]);
  /* XXH3-128, seed 0, of `count` leaves of MMHASH_LEAF_BYTES that follow each other. */
  void (*hash128_leaves)(const void* data, size_t count, unsigned char (*digests)[16]);
  /* A stream on the heap, or NULL where there is no memory. It stays with the kernel that opened it. */
  mmhash_stream* (*stream_open)(uint64_t seed);
  void (*stream_update)(mmhash_stream* stream, const void* data, size_t size);
  /* Of all bytes so far: what hash64 and hash128 make of them in one piece. */
  uint64_t (*stream_digest64)(const mmhash_stream* stream);
  void (*stream_digest128)(const mmhash_stream* stream, unsigned char digest[16]);
  void (*stream_close)(mmhash_stream* stream);
} mmhash_kernel;

extern const mmhash_kernel mmhash_kernel_scalar;
#if defined(__x86_64__)
extern const mmhash_kernel mmhash_kernel_sse2;
extern const mmhash_kernel mmhash_kernel_avx2;
extern const mmhash_kernel mmhash_kernel_avx512;
#elif defined(__aarch64__)
extern const mmhash_kernel mmhash_kernel_neon;
#endif

/* XXH_VERSION_NUMBER of the header that was compiled in: major*10000 + minor*100 + release. */
unsigned mmhash_xxhash_version(void);

#ifdef __cplusplus
}
#endif

#endif
