// Every index exactly once, whoever else is running; and a child after fork().
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
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
  check_fork();
  CHECK(tally(1000), "the parent after the fork");
  set_num_threads(0);
  CHECK(num_threads() == 1, "0 threads became %u", num_threads());
  std::printf("every index once\n");
}
