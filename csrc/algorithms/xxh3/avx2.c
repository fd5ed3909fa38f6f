/* AVX2: compiled with -mavx2, run only where dispatch.cpp found it usable. */
#define XXH_VECTOR XXH_AVX2
#define MMHASH_ISA avx2
#include "kernel_body.h"
