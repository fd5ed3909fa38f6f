/* AVX-512F: compiled with -mavx512f, run only where dispatch.cpp found it usable. */
#define XXH_VECTOR XXH_AVX512
#define MMHASH_ISA avx512
#include "kernel_body.h"
