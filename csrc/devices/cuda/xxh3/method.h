// XXH3's tree of leaves on a GPU: the kernel leaves nothing to the host.
#pragma once

#include "devices/cuda/method.h"

namespace mmhash::cuda {

class Xxh3Method final : public Method {
 public:
  Family family() const override { return Family::kXxh3; }
  unsigned shared_bytes(Access) const override { return 0; }
  Grid grid(std::size_t size, unsigned multiprocessors) const override;
  Result launch(const Call& call, Job job, Strided layout) const override;
  std::size_t finish(const unsigned char* handed_over, std::size_t size, const Grid& grid,
                     std::byte* out) const override;
};

}  // namespace mmhash::cuda
