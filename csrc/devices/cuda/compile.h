// A kernel's machine code, made by NVRTC from the source that is built into the module.
//
// Why NVRTC and not a binary in the wheel: it is there wherever torch has CUDA, knows the architectures that
// torch runs on, and wheels are built without CUDA. What it costs, once a process and kernel: 0.4 to 1.1 s on
// the hosts of H100s, half of it in the front end, which is why the kernels are compiled one by one
// when they are first needed, and why functions that need not be fast are not inlined (unrolled throughout,
// three of them took 22 s). Nothing is kept on disk, so no stale or foreign file can be loaded: a server
// calls mmhash.warm_up(), or its first requests pay.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mmhash::cuda {

// The kernels of an algorithm, in the folder of its name, with one main file.
enum class Family : std::size_t { kXxh3, kBlake3 };
inline constexpr std::size_t kFamilies = 2;

// How a payload lies in the device's memory: each family has one kernel for each.
enum class Access : std::size_t { kAligned, kUnaligned, kBools, kStrided };
inline constexpr std::size_t kAccesses = 4;

// What cuModuleGetFunction finds the kernel by.
std::string kernel_name(Family family, Access access);

// `libraries`: paths where NVRTC may be, best first; one that the process has loaded goes before, one that
// the loader finds by name comes last. Throws Unavailable, with NVRTC's log if it refused the source.
std::vector<char> compile_kernel(Family family, Access access, int major, int minor,
                                 const std::vector<std::string>& libraries);

}  // namespace mmhash::cuda
