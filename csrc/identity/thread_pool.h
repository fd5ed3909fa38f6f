// A pool of threads that stays, for splitting one large payload over a few cores.
#pragma once

#include <chrono>
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
  // Asked by each thread of the pool before it takes part: false if it lacks what the task needs, such as
  // memory. The caller has seen to that for its own thread.
  bool (*can_help)(void* context) noexcept = nullptr;
};

using Deadline = std::chrono::steady_clock::time_point;
inline constexpr Deadline kNoDeadline = Deadline::max();

// Runs the task for every index and returns when all are done, or when those are that were begun before the
// deadline. Returns how many: they are the indices from 0 on, at least one. Uses the pool where more than one
// thread is allowed and nobody else is using it at the moment: a caller never waits for another caller's
// work.
std::size_t parallel_for(std::size_t count, Task task, Deadline deadline = kNoDeadline);

}  // namespace mmhash
