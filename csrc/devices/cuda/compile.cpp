#include "devices/cuda/compile.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>

#include "cuda_sources.h"  // made by CMake
#include "devices/cuda/driver.h"

namespace mmhash::cuda {
namespace {

using Program = struct OpaqueProgram*;

struct Nvrtc {
  int (*create)(Program*, const char* source, const char* name, int headers, const char* const* texts,
                const char* const* names);
  int (*compile)(Program, int options, const char* const*);
  int (*destroy)(Program*);
  int (*log_size)(Program, std::size_t*);
  int (*log)(Program, char*);
  int (*ptx_size)(Program, std::size_t*);
  int (*ptx)(Program, char*);
  int (*cubin_size)(Program, std::size_t*);
  int (*cubin)(Program, char*);
  int (*arch_count)(int*);
  int (*archs)(int*);
};

struct Source {
  const char* name;  // of the algorithm, and in the names of its kernels
  const char* file;
  const char* text;
};
constexpr std::array<Source, kFamilies> kSources{{
    {"xxh3", "leaves.cu", kXxh3LeavesCu},
    {"blake3", "chunks.cu", kBlake3ChunksCu},
}};
constexpr std::array<const char*, kAccesses> kAccessNames = {"aligned", "unaligned", "bools", "strided"};

const Source& source_of(Family family) {
  return kSources[static_cast<std::size_t>(family)];
}

const char* name_of(Access access) {
  return kAccessNames[static_cast<std::size_t>(access)];
}

constexpr std::array kSonames = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"};

// Beside it lies libnvrtc-builtins, which it opens by name, in vain where the loader does not look there.
void preload_builtins(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::size_t at = path.find("libnvrtc.so", slash == std::string::npos ? 0 : slash);
  if (slash == std::string::npos || at == std::string::npos) {
    return;
  }
  std::string builtins = path;
  builtins.replace(at, std::string("libnvrtc.so").size(), "libnvrtc-builtins.so");
  dlopen(builtins.c_str(), RTLD_NOW | RTLD_GLOBAL);
}

void* open_library(const std::vector<std::string>& libraries) {
  for (const char* soname : kSonames) {
    if (void* library = dlopen(soname, RTLD_NOW | RTLD_NOLOAD)) {
      return library;
    }
  }
  for (const std::string& path : libraries) {
    preload_builtins(path);
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
      return library;
    }
  }
  for (const char* soname : kSonames) {
    if (void* library = dlopen(soname, RTLD_NOW | RTLD_LOCAL)) {
      return library;
    }
  }
  throw Unavailable("no NVRTC (libnvrtc.so) was found: install torch's package nvidia-cuda-nvrtc");
}

template <typename F>
void find(void* library, const char* name, F*& function) {
  function = reinterpret_cast<F*>(dlsym(library, name));
  if (function == nullptr) {
    throw Unavailable(std::string("libnvrtc has no ") + name + ": CUDA 11.2 or newer is needed");
  }
}

Nvrtc open_nvrtc(const std::vector<std::string>& libraries) {
  void* library = open_library(libraries);
  Nvrtc n{};
  find(library, "nvrtcCreateProgram", n.create);
  find(library, "nvrtcCompileProgram", n.compile);
  find(library, "nvrtcDestroyProgram", n.destroy);
  find(library, "nvrtcGetProgramLogSize", n.log_size);
  find(library, "nvrtcGetProgramLog", n.log);
  find(library, "nvrtcGetPTXSize", n.ptx_size);
  find(library, "nvrtcGetPTX", n.ptx);
  find(library, "nvrtcGetCUBINSize", n.cubin_size);
  find(library, "nvrtcGetCUBIN", n.cubin);
  find(library, "nvrtcGetNumSupportedArchs", n.arch_count);
  find(library, "nvrtcGetSupportedArchs", n.archs);
  return n;
}

// The device's own machine code, or PTX of the newest older architecture for a device that is newer than
// NVRTC.
std::string architecture(const Nvrtc& nvrtc, int device) {
  int count = 0;
  nvrtc.arch_count(&count);
  std::vector<int> known(static_cast<std::size_t>(count));
  nvrtc.archs(known.data());
  if (std::find(known.begin(), known.end(), device) != known.end()) {
    return "sm_" + std::to_string(device);
  }
  int best = 0;
  for (const int arch : known) {
    best = arch < device ? std::max(best, arch) : best;
  }
  if (best == 0) {
    throw Unavailable("NVRTC does not know devices of compute capability " + std::to_string(device / 10) +
                      "." + std::to_string(device % 10));
  }
  return "compute_" + std::to_string(best);
}

std::vector<char> read(int (*size_of)(Program, std::size_t*), int (*copy)(Program, char*), Program program) {
  std::size_t size = 0;
  size_of(program, &size);
  std::vector<char> bytes(size);
  copy(program, bytes.data());
  return bytes;
}

}  // namespace

std::string kernel_name(Family family, Access access) {
  return std::string("mmhash_") + source_of(family).name + "_" + name_of(access);
}

std::vector<char> compile_kernel(Family family, Access access, int major, int minor,
                                 const std::vector<std::string>& libraries) {
  const Nvrtc nvrtc = open_nvrtc(libraries);
  const std::string arch = architecture(nvrtc, 10 * major + minor);
  const std::string arch_option = "--gpu-architecture=" + arch;
  const std::string kernel_option = std::string("-DMMHASH_KERNEL_") + name_of(access);
  const char* options[] = {arch_option.c_str(), kernel_option.c_str(), "-std=c++17"};

  struct Owned {
    const Nvrtc& nvrtc;
    Program program = nullptr;
    ~Owned() { nvrtc.destroy(&program); }
  } owned{nvrtc};
  const Source& source = source_of(family);
  const int created =
      nvrtc.create(&owned.program, source.text, source.file, static_cast<int>(kHeaderNames.size()),
                   kHeaderTexts.data(), kHeaderNames.data());
  const int compiled =
      created == 0 ? nvrtc.compile(owned.program, static_cast<int>(std::size(options)), options) : created;
  if (compiled != 0) {
    const std::vector<char> log =
        created == 0 ? read(nvrtc.log_size, nvrtc.log, owned.program) : std::vector<char>{'\0'};
    throw Unavailable("NVRTC refused the kernel for " + arch + " (error " + std::to_string(compiled) +
                      "): " + log.data());
  }
  return arch.starts_with("sm_") ? read(nvrtc.cubin_size, nvrtc.cubin, owned.program)
                                 : read(nvrtc.ptx_size, nvrtc.ptx, owned.program);
}

}  // namespace mmhash::cuda
