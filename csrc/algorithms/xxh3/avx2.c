/* AVX2: compiled with -mavx2, run only where dispatch.cpp found it usable. */
#define XXH_VECTOR XXH_AVX2
#define MMHASH_ISA avx2
#include <immintrin.h>

typedef __m256i vec; /* four lanes of 64 bits; the operations are described in kernel_vectors.h */
#define VEC_ZERO() _mm256_setzero_si256()
#define VEC_LOAD(address) _mm256_loadu_si256((const __m256i*)(address))
#define VEC_ALL32(number) _mm256_set1_epi32((int)(number))
#define VEC_ADD(a, b) _mm256_add_epi64(a, b)
#define VEC_XOR(a, b) _mm256_xor_si256(a, b)
#define VEC_MUL32(a, b) _mm256_mul_epu32(a, b)
#define VEC_SHIFT_RIGHT(a, bits) _mm256_srli_epi64(a, bits)
#define VEC_SHIFT_LEFT(a, bits) _mm256_slli_epi64(a, bits)
#define VEC_SWAP(a) _mm256_shuffle_epi32(a, _MM_SHUFFLE(1, 0, 3, 2))
/* Zen 3 reads from memory and L3 at 0.7 to 0.85 of its speed where it is asked to fetch 4 KiB ahead. */
#define VEC_PREFETCH(address) ((void)(address))
#include "kernel_body.h"
