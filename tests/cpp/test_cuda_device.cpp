// What becomes of hashing on a GPU that is full, and after a fork: by the fake driver, without a GPU.
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "check.h"
#include "devices/cuda/device.h"
#include "fake_cuda.h"

using mmhash::OutOfMemory;
using namespace mmhash::cuda;

namespace {

constexpr std::size_t kPlenty = std::size_t{1} << 40;
constexpr std::size_t kLargeLeaves = 1 << 19;                   // of 4 GiB
constexpr std::size_t kRoomForOne = 16 * kLargeLeaves * 3 / 2;  // their scratch, and not twice that
const std::vector<std::string> kNvrtc{FAKE_CUDA};

// Buffers that a launch would have, kept until the end.
bool acquired(Device& device, std::size_t leaves) {
  static auto* const held = new std::vector<Slot*>;
  held->push_back(device.acquire(leaves));
  return held->back() != nullptr;
}

template <class Thrown, class F>
std::string thrown_by(F&& f) {
  try {
    f();
  } catch (const Thrown& error) {
    return error.what();
  }
  return "";
}

// No memory for a context is a state, not a property of the GPU: the next hash tries again.
void check_full_before_it_is_opened() {
  fake_cuda.room = 0;
  for (int i = 0; i < 2; ++i) {
    const std::string error = thrown_by<OutOfMemory>([] { Device::open(0, kNvrtc); });
    CHECK(error.find("no room left") != std::string::npos, "said: %s", error.c_str());
  }
  fake_cuda.room = kPlenty;
  Device::open(0, kNvrtc);
  CHECK(Device::find(0) != nullptr, "it was not opened");
}

// The kernel is compiled once, and loaded as soon as there is memory.
void check_full_when_the_kernel_is_loaded() {
  const int compiled = fake_cuda.compiled, loaded = fake_cuda.loaded;
  fake_cuda.room = 3 << 10;  // the context, the stream and the module, not its function
  Device& device = Device::open(1, kNvrtc);
  const auto kernel = [&] { return device.kernel(Family::kXxh3, Access::kAligned, 0); };
  for (int i = 0; i < 2; ++i) {
    CHECK(thrown_by<OutOfMemory>(kernel) != "", "there was memory");
  }
  CHECK(!acquired(device, 1), "there was memory");
  fake_cuda.room = kPlenty;
  CHECK(kernel() != nullptr, "no kernel");
  CHECK(acquired(device, 1), "no buffers");
  CHECK(fake_cuda.compiled == compiled + 1, "compiled %d times", fake_cuda.compiled - compiled);
  CHECK(fake_cuda.loaded == loaded + 1, "loaded %d times", fake_cuda.loaded - loaded);
}

// What could not be had is not counted: the next request is no larger.
void check_that_failures_leave_nothing_behind() {
  Device& device = Device::open(2, kNvrtc);
  fake_cuda.room = 0;
  for (int i = 0; i < 40; ++i) {
    CHECK(!acquired(device, kLargeLeaves), "there was memory");
  }
  fake_cuda.room = kRoomForOne;
  CHECK(acquired(device, kLargeLeaves), "there was memory for one");
}

// As many again are asked for; where there is room for one only, that is enough for this hash.
void check_room_for_one_more() {
  Device& device = Device::open(3, kNvrtc);
  CHECK(acquired(device, kLargeLeaves), "the first");
  CHECK(acquired(device, kLargeLeaves), "the second");
  fake_cuda.room = kRoomForOne;
  CHECK(acquired(device, kLargeLeaves), "the third, which two are asked for");
}

void check_fork() {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    const std::string error = thrown_by<std::runtime_error>([] { Device::find(0); });
    const bool told = error.find("fork") != std::string::npos && error.find("spawn") != std::string::npos;
    _exit(told ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with status %d", status);
  CHECK(Device::find(0) != nullptr, "the parent has lost its device");
}

}  // namespace

int main() {
  check_full_before_it_is_opened();
  check_full_when_the_kernel_is_loaded();
  fake_cuda.room = kPlenty;
  check_that_failures_leave_nothing_behind();
  fake_cuda.room = kPlenty;
  check_room_for_one_more();
  check_fork();
  std::printf("a full GPU and a fork are told apart from a GPU that cannot hash\n");
}
