/* NEON: the baseline of 64-bit Arm, so this file needs no compiler flag. */
#define XXH_VECTOR XXH_NEON
#define MMHASH_ISA neon
#include "kernel_body.h"
