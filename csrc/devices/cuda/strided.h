// A strided payload as the kernel is told of it.
#pragma once

#include "devices/cuda/job.h"
#include "identity/layout.h"

namespace mmhash::cuda {

// False if the kernel cannot gather it: too many dimensions, or integers to negate at addresses that are no
// multiples of their size (which no torch tensor has).
bool describe(const Payload& payload, Strided& layout);

}  // namespace mmhash::cuda
