// A pool of threads that stays, for splitting one large payload over a few cores.
#pragma once

#include <cstddef>

namespace mmhash {

// How many threads one call may use, the calling one included. Thread-safe; takes effect on the next call.
void set_num_threads(unsigned n);
unsigned num_threads();
inline constexpr unsigned kMaxThreads = 256;

// A task that is called with every index in [0, count), from several threads at once. Must not throw.
struct Task {
  void (*call)(void* context, std::size_t index) noexcept;
  void* context;
};

// Runs the task for every index and returns when all are done. Uses the pool where more than one thread
// is allowed and nobody else is using it at the moment: a caller never waits for another caller's work.
void parallel_for(std::size_t count, Task task);

}  // namespace mmhash
