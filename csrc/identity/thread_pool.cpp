#include "identity/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace mmhash {
namespace {

std::atomic<unsigned> thread_limit{1};

// One job at a time. The caller takes part, hands out indices through one atomic counter, and leaves when
// every index is done; it waits only for workers that have joined this job, never for one still asleep.
class Pool {
 public:
  std::size_t run(std::size_t count, Task task, unsigned helpers, Deadline deadline) {
    {
      std::lock_guard lock(mutex_);
      start_workers(helpers);
      task_ = task;
      count_ = count;
      next_.store(0, std::memory_order_relaxed);
      stop_.store(false, std::memory_order_relaxed);
      seats_ = helpers;
      ++job_;
    }
    wake_.notify_all();
    // The caller alone reads the clock: every 8 us (see kTaskBytes), at 25 ns.
    for (std::size_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count;) {
      task.call(task.context, i);
      if (deadline != kNoDeadline && std::chrono::steady_clock::now() >= deadline) {
        stop_.store(true, std::memory_order_relaxed);
        break;
      }
    }
    std::unique_lock lock(mutex_);
    seats_ = 0;  // who wakes from now on finds no seat and sleeps again
    done_.wait(lock, [this] { return joined_ == 0; });
    return std::min(count, next_.load(std::memory_order_relaxed));
  }

  std::mutex& entry() { return entry_; }

 private:
  // Where the system refuses a thread, the job runs with those that exist.
  void start_workers(unsigned wanted) {
    while (workers_ < wanted) {
      try {
        std::thread([this] { serve(); }).detach();
      } catch (const std::system_error&) {
        return;
      } catch (const std::bad_alloc&) {
        return;
      }
      ++workers_;
    }
  }

  void help(Task task, std::size_t count) {
    if (task.can_help != nullptr && !task.can_help(task.context)) {
      return;
    }
    // Who has taken an index does it, so that what is done has no gaps.
    while (!stop_.load(std::memory_order_relaxed)) {
      const std::size_t i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) {
        return;
      }
      task.call(task.context, i);
    }
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (unsigned seen = 0;;) {
      wake_.wait(lock, [&] { return job_ != seen && seats_ > 0; });
      seen = job_;
      --seats_;
      ++joined_;
      const Task task = task_;
      const std::size_t count = count_;
      lock.unlock();
      help(task, count);
      lock.lock();
      if (--joined_ == 0) {
        done_.notify_one();
      }
    }
  }

  std::mutex entry_;  // held by the one caller whose job this is
  std::mutex mutex_;  // guards all below but the atomics
  std::condition_variable wake_, done_;
  Task task_{};
  std::size_t count_ = 0;
  unsigned job_ = 0, seats_ = 0, joined_ = 0, workers_ = 0;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stop_{false};
};

// Never destroyed: its workers are detached, and they may still be asleep in it when the process exits.
// A forked child has none of the workers, and the mutexes stand as they stood in the parent at that
// moment, so the child drops the pool (a few hundred bytes stay behind) and makes its own when needed.
std::atomic<Pool*> the_pool{nullptr};

// As the module is loaded, and not at the first use: that runs without the GIL, so another thread may fork
// meanwhile, and a static of a function that is being initialized then would be waited for in the child for
// ever.
const int registered =
    pthread_atfork(nullptr, nullptr, [] { the_pool.store(nullptr, std::memory_order_relaxed); });

Pool* pool() {
  Pool* current = the_pool.load(std::memory_order_acquire);
  if (current != nullptr) {
    return current;
  }
  if (registered != 0) {
    return nullptr;  // a pool that cannot survive a fork is worse than none
  }
  Pool* made = new (std::nothrow) Pool;
  if (made != nullptr && !the_pool.compare_exchange_strong(current, made)) {
    delete made;  // another thread was first; this one has no workers yet
    return current;
  }
  return made;
}

}  // namespace

void set_num_threads(unsigned n) {
  thread_limit.store(std::clamp(n, 1u, kMaxThreads), std::memory_order_relaxed);
}

unsigned num_threads() {
  return thread_limit.load(std::memory_order_relaxed);
}

std::size_t parallel_for(std::size_t count, Task task, Deadline deadline) {
  const unsigned threads = static_cast<unsigned>(std::min<std::size_t>(num_threads(), count));
  Pool* shared = threads > 1 ? pool() : nullptr;
  if (shared != nullptr) {
    std::unique_lock entry(shared->entry(), std::try_to_lock);
    if (entry.owns_lock()) {
      return shared->run(count, task, threads - 1, deadline);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    task.call(task.context, i);
    if (deadline != kNoDeadline && std::chrono::steady_clock::now() >= deadline) {
      return i + 1;
    }
  }
  return count;
}

}  // namespace mmhash
