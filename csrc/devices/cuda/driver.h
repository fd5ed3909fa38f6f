// The few functions of the CUDA driver and of NVRTC that hashing takes, declared here and found at run time:
// mmhash builds without CUDA, and one wheel serves machines with any version of it and with none. Names and
// signatures are those of cuda.h and nvrtc.h from CUDA 11 on (docs.nvidia.com/cuda, "Driver API", "NVRTC").
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "devices/backend.h"

namespace mmhash::cuda {

using Result = int;  // CUresult
inline constexpr Result kSuccess = 0, kOutOfMemory = 2, kNotReady = 600, kCaptureImplicit = 906;

using Context = struct OpaqueContext*;  // CUcontext and so on
using Module = struct OpaqueModule*;
using Function = struct OpaqueFunction*;
using Stream = struct OpaqueStream*;  // null: the legacy default stream
using DevicePointer = unsigned long long;

enum DeviceAttribute : int { kMultiprocessors = 16, kMajor = 75, kMinor = 76 };
enum FunctionAttribute : int { kMaxDynamicShared = 8 };
enum CaptureStatus : int { kNotCapturing = 0 };
enum CaptureMode : int { kRelaxed = 2 };
inline constexpr unsigned kStreamNonBlocking = 1;  // CU_STREAM_NON_BLOCKING
inline constexpr unsigned kHostMapped = 2 | 1;     // CU_MEMHOSTALLOC_DEVICEMAP | _PORTABLE

struct Driver {
  Result (*get_error_name)(Result, const char**);
  Result (*init)(unsigned);
  Result (*device_get)(int* device, int ordinal);
  Result (*device_attribute)(int* value, int attribute, int device);
  Result (*primary_context_retain)(Context*, int device);
  Result (*context_current)(Context*);
  Result (*context_push)(Context);
  Result (*context_pop)(Context*);
  Result (*module_load)(Module*, const void* image);
  Result (*module_function)(Function*, Module, const char* name);
  Result (*function_attribute)(Function, int attribute, int value);
  Result (*launch)(Function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream, void** parameters,
                   void** extra);
  Result (*stream_create)(Stream*, unsigned flags);
  Result (*stream_synchronize)(Stream);
  Result (*stream_query)(Stream);
  Result (*stream_capture)(Stream, int* status);
  Result (*exchange_capture_mode)(int* mode);
  Result (*memory_allocate)(DevicePointer*, std::size_t);
  Result (*memory_free)(DevicePointer);
  Result (*memory_set)(DevicePointer, unsigned char, std::size_t, Stream);  // on the stream
  Result (*host_allocate)(void**, std::size_t, unsigned flags);
  Result (*host_device_pointer)(DevicePointer*, void* host, unsigned flags);
};

// Opened once. Throws Unavailable.
const Driver& driver();

// Throws std::runtime_error that names the failed step and CUDA's error, unless it is kSuccess.
void check(Result result, const char* step);

// While it lives, the calling thread may allocate, load and query although another thread captures a graph,
// which in its default mode forbids that to all threads.
class CaptureElsewhere {
 public:
  CaptureElsewhere();
  ~CaptureElsewhere();
  CaptureElsewhere(const CaptureElsewhere&) = delete;
  CaptureElsewhere& operator=(const CaptureElsewhere&) = delete;

 private:
  int mode_ = kRelaxed;
};

// Makes the context current for the calling thread and puts back what was.
class CurrentContext {
 public:
  explicit CurrentContext(Context context);
  ~CurrentContext();
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

 private:
  bool pushed_ = false;
};

}  // namespace mmhash::cuda
