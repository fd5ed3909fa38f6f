// How often a slow path was taken in this process: what info()["slow_paths"] reports. Nothing slow is
// silent, but nothing slow is refused either.
#pragma once

#include <atomic>
#include <cstdint>

namespace mmhash {

struct Counters {
  std::atomic<std::uint64_t> gathered{0};       // strided values, copied block by block through scratch
  std::atomic<std::uint64_t> attributes{0};     // torch tensors read without the DLPack exchange API
  std::atomic<std::uint64_t> device_copies{0};  // tensors copied from a device to be hashed on the CPU
};

inline Counters counters;

inline void count(std::atomic<std::uint64_t>& counter) {
  counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace mmhash
