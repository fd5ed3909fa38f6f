// CUDA as a device that hashes: torch's current stream, the kernels of this folder. Needs the GIL.
#pragma once

#include "devices/backend.h"

namespace mmhash::cuda {

Backend& backend();

}  // namespace mmhash::cuda
