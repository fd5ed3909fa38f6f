#include "fake_cuda.h"

#include <cstdlib>
#include <cstring>

FakeCuda fake_cuda;

namespace {

constexpr int kSuccess = 0, kOutOfMemory = 2;
constexpr std::size_t kObject = 1 << 10;  // what a context, stream or module takes of the device

int handle;  // of every object: nobody looks behind it

int take(std::size_t bytes) {
  if (fake_cuda.room < bytes) {
    return kOutOfMemory;
  }
  fake_cuda.room -= bytes;
  return kSuccess;
}

int make(void** object) {
  *object = &handle;
  return take(kObject);
}

int put(int* place, int value) {
  *place = value;
  return kSuccess;
}

}  // namespace

extern "C" {

int cuGetErrorName(int, const char** name) {
  *name = "CUDA_ERROR_OF_THE_FAKE";
  return kSuccess;
}
int cuInit(unsigned) {
  return kSuccess;
}
int cuDeviceGet(int* device, int ordinal) {
  return put(device, ordinal);
}
int cuDeviceGetAttribute(int* value, int attribute, int) {
  return put(value, attribute == 75 ? 9 : 0);
}
int cuDevicePrimaryCtxRetain(void** context, int) {
  return make(context);
}
int cuCtxGetCurrent(void** context) {
  *context = &handle;
  return kSuccess;
}
int cuCtxPushCurrent_v2(void*) {
  return kSuccess;
}
int cuCtxPopCurrent_v2(void**) {
  return kSuccess;
}
int cuModuleLoadData(void** module, const void*) {
  const int result = make(module);
  fake_cuda.loaded += result == kSuccess;
  *module = result == kSuccess ? *module : nullptr;
  return result;
}
int cuModuleGetFunction(void** function, void*, const char*) {
  return make(function);
}
int cuFuncSetAttribute(void*, int, int) {
  return kSuccess;
}
int cuLaunchKernel() {
  return kSuccess;
}
int cuStreamCreate(void** stream, unsigned) {
  return make(stream);
}
int cuStreamSynchronize(void*) {
  return kSuccess;
}
int cuStreamQuery(void*) {
  return kSuccess;
}
int cuStreamIsCapturing(void*, int* status) {
  return put(status, 0);
}
int cuThreadExchangeStreamCaptureMode(int*) {
  return kSuccess;
}
int cuMemAlloc_v2(unsigned long long* pointer, std::size_t bytes) {
  const int result = take(bytes);
  *pointer = result == kSuccess ? reinterpret_cast<unsigned long long>(&handle) : 0;
  return result;
}
int cuMemFree_v2(unsigned long long) {
  return kSuccess;
}
int cuMemsetD8Async(unsigned long long, unsigned char, std::size_t, void*) {
  return kSuccess;
}
int cuMemHostAlloc(void** host, std::size_t bytes, unsigned) {
  *host = std::calloc(bytes, 1);
  return kSuccess;
}
int cuMemHostGetDevicePointer_v2(unsigned long long* pointer, void* host, unsigned) {
  *pointer = reinterpret_cast<unsigned long long>(host);
  return kSuccess;
}

int nvrtcCreateProgram(void** program, const char*, const char*, int, const char* const*,
                       const char* const*) {
  *program = &handle;
  return kSuccess;
}
int nvrtcCompileProgram(void*, int, const char* const*) {
  ++fake_cuda.compiled;
  return kSuccess;
}
int nvrtcDestroyProgram(void**) {
  return kSuccess;
}
int nvrtcGetProgramLogSize(void*, std::size_t* size) {
  *size = 1;
  return kSuccess;
}
int nvrtcGetProgramLog(void*, char* log) {
  *log = '\0';
  return kSuccess;
}
int nvrtcGetPTXSize(void* program, std::size_t* size) {
  return nvrtcGetProgramLogSize(program, size);
}
int nvrtcGetPTX(void* program, char* code) {
  return nvrtcGetProgramLog(program, code);
}
int nvrtcGetCUBINSize(void* program, std::size_t* size) {
  return nvrtcGetProgramLogSize(program, size);
}
int nvrtcGetCUBIN(void* program, char* code) {
  return nvrtcGetProgramLog(program, code);
}
int nvrtcGetNumSupportedArchs(int* count) {
  return put(count, 1);
}
int nvrtcGetSupportedArchs(int* archs) {
  return put(archs, 90);
}
}
