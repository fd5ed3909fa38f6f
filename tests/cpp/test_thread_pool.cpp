// Every index exactly once, whoever else is running; and a child after fork().
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "check.h"
#include "identity/thread_pool.h"

using namespace mmhash;

namespace {

struct Tally {
  std::vector<std::atomic<int>> seen;
  explicit Tally(std::size_t count) : seen(count) {}

  static void run(void* context, std::size_t index) noexcept { ++static_cast<Tally*>(context)->seen[index]; }

  bool complete() const {
    for (const std::atomic<int>& times : seen) {
      if (times != 1) {
        return false;
      }
    }
    return true;
  }
};

bool tally(std::size_t count) {
  Tally all(count);
  parallel_for(count, {Tally::run, &all});
  return all.complete();
}

void check_many_callers() {
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([] {
      for (std::size_t count = 0; count < 300; ++count) {
        CHECK(tally(count), "%zu tasks", count);
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
}

// With a deadline, what is done are the indices from 0 on, each once, and none beyond.
struct Begun {
  Tally tally;
  std::size_t slow_from = 0;  // tasks from here on end after the deadline
  Deadline deadline;

  static void run(void* context, std::size_t index) noexcept {
    Begun& begun = *static_cast<Begun*>(context);
    Tally::run(&begun.tally, index);
    while (index >= begun.slow_from && std::chrono::steady_clock::now() < begun.deadline) {
    }
  }
};

void check_deadline(unsigned threads) {
  set_num_threads(threads);
  constexpr std::size_t kCount = 2000;
  for (const std::size_t slow_from : {std::size_t{0}, std::size_t{1}, kCount / 2, kCount - 1}) {
    Begun begun{Tally(kCount), slow_from, std::chrono::steady_clock::now() + std::chrono::milliseconds(2)};
    const std::size_t done = parallel_for(kCount, {Begun::run, &begun}, begun.deadline);
    CHECK(1 <= done && done <= kCount, "%zu done, %u threads", done, threads);
    CHECK(threads > 1 || done <= slow_from + 1, "%zu done, the deadline passed in %zu", done, slow_from);
    for (std::size_t i = 0; i < kCount; ++i) {
      const int times = begun.tally.seen[i];
      CHECK(times == (i < done ? 1 : 0), "index %zu %d times, %zu done, %u threads", i, times, done, threads);
    }
  }
  Tally past(10);
  const std::size_t done = parallel_for(10, {Tally::run, &past}, Deadline::min());
  CHECK(done >= 1 && (threads > 1 || done == 1), "%zu done after a deadline that had passed", done);
  Tally all(10);
  CHECK(parallel_for(10, {Tally::run, &all}) == 10 && all.complete(), "a job after one that was stopped");
}

// The parent's workers do not exist in the child: it must neither wait for them nor miss them.
void check_fork() {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(tally(1000) ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with status %d", status);
}

}  // namespace

int main() {
  set_num_threads(4);
  check_many_callers();
  for (const unsigned threads : {1u, 2u, 4u}) {
    check_deadline(threads);
  }
  check_fork();
  CHECK(tally(1000), "the parent after the fork");
  set_num_threads(0);
  CHECK(num_threads() == 1, "0 threads became %u", num_threads());
  std::printf("every index once\n");
}
