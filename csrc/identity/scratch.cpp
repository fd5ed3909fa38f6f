#include "identity/scratch.h"

#include <pthread.h>

#include <cstdlib>

namespace mmhash {
namespace {

// Made as the module is loaded: a static of the function below could be half made at a fork (see
// thread_pool.cpp).
const struct Key {
  pthread_key_t key{};
  bool made = pthread_key_create(&key, std::free) == 0;
} shared;

}  // namespace

// POSIX thread-specific data, and no thread_local: the C library reserves a module's thread_local objects at
// a thread's first access to any of them, and registers their destructors, and ends the process where there
// is no memory for that. Both calls here report it.
std::byte* scratch() noexcept {
  if (!shared.made) {
    return nullptr;
  }
  if (void* block = pthread_getspecific(shared.key)) {
    return static_cast<std::byte*>(block);
  }
  void* block = std::aligned_alloc(64, kScratchBytes);
  if (block != nullptr && pthread_setspecific(shared.key, block) != 0) {
    std::free(block);
    return nullptr;
  }
  return static_cast<std::byte*>(block);
}

}  // namespace mmhash
