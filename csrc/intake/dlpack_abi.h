// The parts of DLPack's C ABI (version 1.3) that reading a tensor takes. Declared here because torch
// exports the functions at run time and no header must be there to build against; names and order of the
// fields are the standard's: https://dmlc.github.io/dlpack/latest/c_api.html
#pragma once

#include <cstdint>

namespace mmhash::dlpack {

struct Version {
  std::uint32_t major, minor;
};

enum DeviceType : std::int32_t { kCPU = 1, kCUDA = 2, kCUDAHost = 3, kROCM = 10, kROCMHost = 11 };

struct Device {
  std::int32_t device_type, device_id;
};

struct DataType {
  std::uint8_t code, bits;
  std::uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements; null means row-major before version 1.2
  std::uint64_t byte_offset;
};

// The capsule "dltensor".
struct ManagedTensor {
  Tensor tensor;
  void* manager_context;
  void (*deleter)(ManagedTensor*);
};

// The capsule "dltensor_versioned".
struct ManagedTensorVersioned {
  Version version;
  void* manager_context;
  void (*deleter)(ManagedTensorVersioned*);
  std::uint64_t flags;
  Tensor tensor;
};

// The capsule "dlpack_exchange_api" that a tensor type carries as `__dlpack_c_exchange_api__`. Later
// versions of major version 1 add fields at the end only.
struct ExchangeApi {
  Version version;
  ExchangeApi* previous;
  void* managed_tensor_allocator;
  void* managed_tensor_from_py_object_no_sync;
  void* managed_tensor_to_py_object_no_sync;
  // Borrowed: valid while the object lives and is not changed. Returns 0, or -1 with an exception set.
  int (*tensor_from_py_object_no_sync)(void* py_object, Tensor* out);
  void* current_work_stream;
};

}  // namespace mmhash::dlpack
