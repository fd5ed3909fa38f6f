// What an algorithm does in its own way when it folds a payload on a GPU; all else is launch.h's. To add one:
// a folder with its kernels, a Method, its row in compile.cpp and in backend.cpp.
//
// The kernels hand a payload of at most kLeafBytes over as it is (handover.cuh), in a grid of one
// warp. Their scratch is that of XXH3, which takes most: 16 bytes for every 8 KiB of the payload and for
// every 512 of those, and so on, and a counter for each of the latter (Job).
#pragma once

#include <cstddef>

#include "devices/cuda/compile.h"
#include "devices/cuda/driver.h"
#include "devices/cuda/job.h"

namespace mmhash::cuda {

struct Grid {
  unsigned blocks, threads;
  unsigned rounds;  // Job::rounds
};

// All of a launch but its parameters.
struct Call {
  Function kernel;
  Grid grid;
  unsigned shared_bytes;  // dynamic, of a block
  Stream stream;

  Result with(void** parameters) const {
    return driver().launch(kernel, grid.blocks, 1, 1, grid.threads, 1, 1, shared_bytes, stream, parameters,
                           nullptr);
  }
};

class Method {
 public:
  Method() = default;
  Method(const Method&) = default;
  Method& operator=(const Method&) = default;
  virtual ~Method() = default;

  virtual Family family() const = 0;
  // Dynamic shared memory of a block.
  virtual unsigned shared_bytes(Access access) const = 0;
  // For a payload of more than kLeafBytes.
  virtual Grid grid(std::size_t size, unsigned multiprocessors) const = 0;
  // Launches with the parameters that the family's kernels take.
  virtual Result launch(const Call& call, Job job, Strided layout) const = 0;
  // Writes tree(payload), at most kLeafBytes, and returns its length, from what a launch with that grid has
  // handed over of a payload of more than kLeafBytes.
  virtual std::size_t finish(const unsigned char* handed_over, std::size_t size, const Grid& grid,
                             std::byte* out) const = 0;
};

}  // namespace mmhash::cuda
