// ISA flags stay in their file
// ----------------------------
// Only xxh3/avx2.c and xxh3/avx512.c are compiled with -mavx2 and -mavx512f. Such a flag on any shared
// file (or on a header with an inline function that another file includes too) would let the compiler
// use the instruction anywhere, and the linker may keep that copy for all callers: an illegal
// instruction on an older CPU, far from any kernel. So the per-ISA files are C, include nothing of ours
// but declarations, and make every xxHash function static (XXH_INLINE_ALL). This file decides, at run
// time, which of them may be entered.
#include "dispatch.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <stdexcept>

namespace mmhash {
namespace {

struct Candidate {
  const mmhash_kernel* kernel;
  bool (*supported)();
};

bool always() {
  return true;
}

#if defined(__x86_64__)
// __builtin_cpu_supports asks CPUID *and* XGETBV: an AVX register file that the operating system does
// not save on a context switch counts as absent (libgcc cpuinfo.c; compiler-rt's cpu_model.c likewise).
bool has_avx2() {
  return __builtin_cpu_supports("avx2");
}
bool has_avx512() {
  return __builtin_cpu_supports("avx512f");
}
constexpr std::array candidates{
    Candidate{&mmhash_kernel_avx512, has_avx512},
    Candidate{&mmhash_kernel_avx2, has_avx2},
    Candidate{&mmhash_kernel_sse2, always},
    Candidate{&mmhash_kernel_scalar, always},
};
#elif defined(__aarch64__)
constexpr std::array candidates{
    Candidate{&mmhash_kernel_neon, always},
    Candidate{&mmhash_kernel_scalar, always},
};
#else
constexpr std::array candidates{Candidate{&mmhash_kernel_scalar, always}};
#endif

std::atomic<const mmhash_kernel*> chosen{nullptr};

const mmhash_kernel* best() {
  for (const Candidate& candidate : candidates) {
    if (candidate.supported()) {
      return candidate.kernel;
    }
  }
  return &mmhash_kernel_scalar;
}

}  // namespace

const mmhash_kernel& kernel() {
  const mmhash_kernel* current = chosen.load(std::memory_order_relaxed);
  if (current == nullptr) {
    // Two threads may both get here; the exchange lets neither undo a set_isa() of a third.
    const mmhash_kernel* found = best();
    if (chosen.compare_exchange_strong(current, found, std::memory_order_relaxed)) {
      current = found;
    }
  }
  return *current;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates) {
    if (candidate.supported()) {
      names.emplace_back(candidate.kernel->isa);
    }
  }
  return names;
}

void set_isa(std::string_view name) {
  for (const Candidate& candidate : candidates) {
    if (candidate.kernel->isa == name && candidate.supported()) {
      chosen.store(candidate.kernel, std::memory_order_relaxed);
      return;
    }
  }
  std::string message = "this machine has no instruction set named '";
  message.append(name).append("'; valid here: ");
  const std::vector<std::string> names = available_isas();
  for (std::size_t i = 0; i < names.size(); ++i) {
    message.append(i == 0 ? "'" : ", '").append(names[i]).append("'");
  }
  throw std::invalid_argument(message);
}

}  // namespace mmhash
