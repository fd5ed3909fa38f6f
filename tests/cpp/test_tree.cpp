// The fold of a payload, in every way it can be reached, against the five lines of docs/SPEC.md.
#include <algorithm>
#include <stdexcept>
#include <thread>

#include "check.h"
#include "identity/thread_pool.h"
#include "identity/tree.h"
#include "slow_tree.h"

using namespace mmhash;

namespace {

std::vector<std::byte> fold_of(const Payload& payload) {
  std::vector<std::byte> out(kLeafBytes);
  out.resize(fold_tree(payload, out.data()));
  return out;
}

// Every second element of twice the memory: the same payload, not in place.
std::vector<std::byte> fold_strided(const std::vector<std::byte>& payload) {
  std::vector<std::byte> spread(2 * payload.size());
  for (std::size_t i = 0; i < payload.size(); ++i) {
    spread[2 * i] = payload[i];
  }
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(payload.size())}, strides{2};
  return fold_of(Payload(spread.data(), *find_dtype("uint8"), shape, strides, {}));
}

std::vector<std::byte> fold_pieces(const std::vector<std::byte>& payload) {
  TreeFold fold(payload.size());
  for (std::size_t at = 0; at < payload.size();) {
    const std::int64_t most = random_between(0, 3) == 0 ? 100 : 3 * 8192;
    const auto size = std::min(payload.size() - at, static_cast<std::size_t>(random_between(0, most)));
    fold.update(payload.data() + at, size);
    at += size;
  }
  std::vector<std::byte> out(kLeafBytes);
  out.resize(fold.finish(out.data()));
  return out;
}

void check_size(std::size_t size) {
  const std::vector<std::byte> payload = random_bytes(size);
  const std::vector<std::byte> expected = slow_tree(payload);
  for (const unsigned threads : {1u, 2u, 4u}) {
    set_num_threads(threads);
    CHECK(fold_of(Payload(payload.data(), size)) == expected, "%zu bytes, %u threads", size, threads);
    CHECK(fold_strided(payload) == expected, "%zu bytes strided, %u threads", size, threads);
    CHECK(fold_pieces(payload) == expected, "%zu bytes in pieces, %u threads", size, threads);
  }
}

// Many callers at once: they contend for the pool while its size changes, and all get their own digest.
void check_concurrent_callers() {
  const std::vector<std::byte> payload = random_bytes((std::size_t{4} << 20) + 1);
  const std::vector<std::byte> expected = slow_tree(payload);
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      for (int round = 0; round < 10; ++round) {
        set_num_threads(static_cast<unsigned>(1 + (i + round) % 4));
        CHECK(fold_of(Payload(payload.data(), payload.size())) == expected, "caller %d", i);
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
}

void check_wrong_pieces() {
  const std::vector<std::byte> bytes = random_bytes(10001);
  int refused = 0;
  for (const std::size_t announced : {10000, 10002, 100, 8192}) {
    try {
      TreeFold fold(announced);
      std::vector<std::byte> out(kLeafBytes);
      fold.update(bytes.data(), 5000);
      fold.update(bytes.data() + 5000, 5001);
      fold.finish(out.data());
    } catch (const std::length_error&) {
      ++refused;
    }
  }
  CHECK(refused == 4, "pieces of a wrong total size were accepted");
}

// A payload that is read in steps, each of which ends at a deadline, one that has passed already among them.
void check_steps() {
  for (const std::size_t size : {kLeafBytes + 1, kParallelBytes - 1, 3 * kParallelBytes + 5}) {
    const std::vector<std::byte> payload = random_bytes(size);
    const std::vector<std::byte> expected = slow_tree(payload);
    for (const unsigned threads : {1u, 4u}) {
      set_num_threads(threads);
      const Payload whole(payload.data(), size);
      TreeFold fold(size);
      int steps = 1;
      for (; !fold.read(whole, steps % 2 == 0 ? Deadline::min() : std::chrono::steady_clock::now());
           ++steps) {
      }
      std::vector<std::byte> out(kLeafBytes);
      out.resize(fold.finish(out.data()));
      CHECK(out == expected, "%zu bytes in %d steps, %u threads", size, steps, threads);
      CHECK(size < kParallelBytes || threads > 1 || steps == 49, "%zu bytes in %d steps", size, steps);
    }
  }
}

}  // namespace

int main() {
  for (const std::size_t boundary : {1, 17, 8192, 2 * 8192, 64 * 1024, 8192 * 512, 8192 * 513, (1 << 20)}) {
    for (const std::size_t size : {boundary - 1, boundary, boundary + 1}) {
      check_size(size);
    }
  }
  check_size(static_cast<std::size_t>(random_between(1 << 22, 1 << 24)));
  check_concurrent_callers();
  check_wrong_pieces();
  check_steps();
  std::printf("all folds agree\n");
}
