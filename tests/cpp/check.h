// The little that the C++ tests share: a check that says where and what, and reproducible random numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#define CHECK(condition, ...)                                                    \
  do {                                                                           \
    if (!(condition)) {                                                          \
      std::fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);       \
      std::fprintf(stderr, __VA_ARGS__);                                         \
      std::fprintf(stderr, " (seed %llu; set MMHASH_SEED to repeat)\n", seed()); \
      std::exit(1);                                                              \
    }                                                                            \
  } while (false)

inline unsigned long long seed() {
  static const unsigned long long value = [] {
    const char* given = std::getenv("MMHASH_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  }();
  return value;
}

// One generator for the test's main thread.
inline std::mt19937_64& random_engine() {
  static std::mt19937_64 engine(seed());
  return engine;
}

inline std::int64_t random_between(std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random_engine());
}

inline std::vector<std::byte> random_bytes(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(random_engine()());
  }
  return bytes;
}
