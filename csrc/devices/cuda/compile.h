// The kernel's machine code, made by NVRTC from the source that is built into the module.
//
// Why NVRTC and not a binary in the wheel: it is there wherever torch has CUDA, knows the architectures that
// torch runs on, and wheels are built without CUDA. What it costs, once a process and kernel: 0.4 to 1.1 s on
// the hosts of H100s, half of it in the front end, which is why the kernels are compiled one by one
// when they are first needed, and why functions that need not be fast are not inlined (unrolled throughout,
// three of them took 22 s). Nothing is kept on disk: a server's warm-up request pays, and no stale or foreign
// file can be loaded.
#pragma once

#include <string>
#include <vector>

namespace mmhash::cuda {

// `libraries`: paths where NVRTC may be, best first; one that the process has loaded goes before, one that
// the loader finds by name comes last. Throws Unavailable, with NVRTC's log if it refused the source.
std::vector<char> compile_kernel(const char* name, int major, int minor,
                                 const std::vector<std::string>& libraries);

}  // namespace mmhash::cuda
