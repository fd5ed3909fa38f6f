// A CUDA driver and NVRTC with as much memory as a test says, loaded in place of libcuda.so.1: it launches
// nothing, and compiles nothing.
#pragma once

#include <cstddef>

struct FakeCuda {
  std::size_t room = 0;  // bytes that the device has left
  int compiled = 0;      // kernels, so far
  int loaded = 0;        // modules, so far
};

extern "C" FakeCuda fake_cuda;
