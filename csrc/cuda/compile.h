// The kernel's machine code, made by NVRTC from the source that is built into the module.
//
// Why NVRTC and not a binary in the wheel: it is there wherever torch has CUDA, knows the architectures that
// torch runs on, and wheels are built without CUDA. What it costs, once a process and kernel: 0.7 s on a 2.5
// GHz Zen 3, 0.4 of it in the front end; so the three kernels are compiled one by one when they are first
// needed (all at once take 2.1 s), and nothing is kept on disk. A server's warm-up request pays for it.
#pragma once

#include <string>
#include <vector>

namespace mmhash::cuda {

// `libraries`: paths where NVRTC may be, best first; one that the process has loaded goes before, one that
// the loader finds by name comes last. Throws Unavailable, with NVRTC's log if it refused the source.
std::vector<char> compile_kernel(const char* name, int major, int minor,
                                 const std::vector<std::string>& libraries);

}  // namespace mmhash::cuda
