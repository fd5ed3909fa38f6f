// BLAKE3 on a GPU, plain and keyed: the kernel leaves the last nodes of the tree to the host.
#pragma once

#include <cstdint>

#include "devices/cuda/blake3/job.h"
#include "devices/cuda/method.h"

namespace mmhash::cuda {

class Blake3Method final : public Method {
 public:
  // `key`: 32 bytes, which are copied, or null for plain BLAKE3.
  explicit Blake3Method(const std::uint8_t* key);
  Family family() const override { return Family::kBlake3; }
  unsigned shared_bytes(Access access) const override;
  Grid grid(std::size_t size, unsigned multiprocessors) const override;
  // What the kernels take.
  blake3::KeyedJob keyed(const Job& job) const;
  Result launch(const Call& call, Job job, Strided layout) const override;
  std::size_t finish(const unsigned char* handed_over, std::size_t size, const Grid& grid,
                     std::byte* out) const override;

 private:
  unsigned key_[8];
  unsigned flags_;
};

}  // namespace mmhash::cuda
