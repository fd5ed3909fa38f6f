#include "devices/cuda/driver.h"

#include <dlfcn.h>

namespace mmhash::cuda {
namespace {

template <typename F>
void find(void* library, const char* name, F*& function) {
  function = reinterpret_cast<F*>(dlsym(library, name));
  if (function == nullptr) {
    throw Unavailable(std::string("libcuda.so.1 has no ") + name + ": the CUDA driver is too old");
  }
}

Driver open_driver() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Unavailable("no CUDA driver (libcuda.so.1) was found");
  }
  Driver d{};
  find(library, "cuGetErrorName", d.get_error_name);
  find(library, "cuInit", d.init);
  find(library, "cuDeviceGet", d.device_get);
  find(library, "cuDeviceGetAttribute", d.device_attribute);
  find(library, "cuDevicePrimaryCtxRetain", d.primary_context_retain);
  find(library, "cuCtxGetCurrent", d.context_current);
  find(library, "cuCtxPushCurrent_v2", d.context_push);
  find(library, "cuCtxPopCurrent_v2", d.context_pop);
  find(library, "cuModuleLoadData", d.module_load);
  find(library, "cuModuleGetFunction", d.module_function);
  find(library, "cuFuncSetAttribute", d.function_attribute);
  find(library, "cuLaunchKernel", d.launch);
  find(library, "cuStreamCreate", d.stream_create);
  find(library, "cuStreamSynchronize", d.stream_synchronize);
  find(library, "cuStreamQuery", d.stream_query);
  find(library, "cuStreamIsCapturing", d.stream_capture);
  find(library, "cuThreadExchangeStreamCaptureMode", d.exchange_capture_mode);
  find(library, "cuMemAlloc_v2", d.memory_allocate);
  find(library, "cuMemFree_v2", d.memory_free);
  find(library, "cuMemsetD8Async", d.memory_set);
  find(library, "cuMemHostAlloc", d.host_allocate);
  find(library, "cuMemHostGetDevicePointer_v2", d.host_device_pointer);
  if (d.init(0) != kSuccess) {
    throw Unavailable("the CUDA driver could not be initialised");
  }
  return d;
}

}  // namespace

const Driver& driver() {
  // Never freed: the driver outlives static objects, and threads may still hash while those are destroyed.
  // The callers hold no GIL, which whoever initialises this does not take either.
  static const Driver* const opened = new Driver(open_driver());
  return *opened;
}

void check(Result result, const char* step) {
  if (result == kSuccess) {
    return;
  }
  const char* name = nullptr;
  driver().get_error_name(result, &name);
  throw std::runtime_error(std::string("hashing on the GPU failed: ") + step + " gave " +
                           (name != nullptr ? name : "error " + std::to_string(result)) +
                           "; an error of an earlier kernel shows up here too");
}

CaptureElsewhere::CaptureElsewhere() {
  driver().exchange_capture_mode(&mode_);
}

CaptureElsewhere::~CaptureElsewhere() {
  driver().exchange_capture_mode(&mode_);
}

CurrentContext::CurrentContext(Context context) {
  Context current = nullptr;
  check(driver().context_current(&current), "cuCtxGetCurrent");
  if (current != context) {
    check(driver().context_push(context), "cuCtxPushCurrent");
    pushed_ = true;
  }
}

CurrentContext::~CurrentContext() {
  if (pushed_) {
    Context popped = nullptr;
    driver().context_pop(&popped);
  }
}

}  // namespace mmhash::cuda
