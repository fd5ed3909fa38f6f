/* Portable C: no vector instructions. The oracle among the kernels, and the one that is always there. */
#define XXH_VECTOR XXH_SCALAR
#define MMHASH_ISA scalar
#include "kernel_body.h"

unsigned mmhash_xxhash_version(void) {
  return XXH_VERSION_NUMBER;
}
