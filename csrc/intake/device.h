// Where memory is, as every intake says it. No Python here.
#pragma once

#include <cstdint>

#include "intake/dlpack_abi.h"

namespace mmhash {

struct Device {
  // Torch calls ROCm's devices "cuda", DLPack and we do not.
  enum class Type : std::uint8_t { Host, Cuda, Rocm, Other };

  Type type = Type::Host;
  int index = 0;  // means nothing on the host

  bool is_host() const { return type == Type::Host; }  // `data` may be read
  bool is_cuda() const { return type == Type::Cuda; }
  bool has_addresses() const { return type != Type::Other; }  // else `data` may be a handle, or nothing

  static constexpr Device of(dlpack::Device device) {
    switch (device.device_type) {
      case dlpack::kCPU:
      case dlpack::kCUDAHost:
      case dlpack::kROCMHost: return {};
      case dlpack::kCUDA: return {Type::Cuda, device.device_id};
      case dlpack::kROCM: return {Type::Rocm, device.device_id};
      default: return {Type::Other, device.device_id};
    }
  }
};

}  // namespace mmhash
