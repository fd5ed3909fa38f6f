/* SSE2: the baseline of x86-64, so this file needs no compiler flag. */
#define XXH_VECTOR XXH_SSE2
#define MMHASH_ISA sse2
#include "kernel_body.h"
