// How one call of identity() hashes: what goes down unchanged to every part of a nested value.
#pragma once

#include "identity/algorithm.h"

namespace mmhash {

struct Options {
  const Algorithm& algorithm;
  bool use_cache;  // tensors may be found in the cache and added to it
};

}  // namespace mmhash
