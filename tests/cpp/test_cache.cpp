// Every validator is dropped exactly once or still held, whoever else is at it; the order of eviction; one
// hashes and the others wait; and a child after fork().
#include "cache/cache.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "check.h"

using namespace mmhash;

namespace {

CacheKey key(std::uint64_t owner, std::uint64_t layout = 0) {
  CacheKey made{owner, owner * 64, {}};
  std::memcpy(made.layout.data(), &layout, sizeof layout);
  return made;
}

// A validator is known by its version.
struct Validators {
  std::vector<std::atomic<int>> released;
  std::atomic<std::uint64_t> made{0};

  explicit Validators(std::size_t most) : released(most) {}

  Validator make() {
    Validator validator;
    validator.version = made++;
    CHECK(validator.version < released.size(), "more validators than %zu", released.size());
    return validator;
  }
  void release(Cache::Dropped& dropped) {
    for (const Validator& validator : dropped) {
      ++released[validator.version];
    }
    dropped.clear();
  }
  void check_all_released_once() const {
    for (std::size_t i = 0; i < made; ++i) {
      CHECK(released[i] == 1, "validator %zu was released %d times", i, released[i].load());
    }
  }
};

bool holds(Cache& cache, const CacheKey& wanted) {
  Digest digest;
  Validator validator;
  return cache.find(wanted, digest, validator);
}

void insert(Cache& cache, const CacheKey& key, Validators& validators) {
  Cache::Dropped dropped;
  Digest digest{};
  digest[0] = static_cast<std::uint8_t>(key.owner);
  cache.insert(key, digest, validators.make(), cache.forgets(), dropped);
  validators.release(dropped);
}

void check_order() {
  Cache cache(3);
  Validators validators(16);
  for (std::uint64_t owner = 1; owner <= 3; ++owner) {
    insert(cache, key(owner), validators);
  }
  CHECK(holds(cache, key(1)), "the oldest");  // and makes it the youngest
  insert(cache, key(4), validators);
  CHECK(!holds(cache, key(2)), "the least recently used was kept");
  CHECK(holds(cache, key(1)) && holds(cache, key(3)) && holds(cache, key(4)), "another was evicted");
  CHECK(cache.stats().evictions == 1 && cache.stats().currsize == 3, "statistics");

  Cache::Dropped dropped;
  cache.resize(1, dropped);
  validators.release(dropped);
  CHECK(holds(cache, key(4)) && !holds(cache, key(3)), "resize() keeps the youngest");
  insert(cache, key(4), validators);  // replaces, and releases what it replaces
  CHECK(cache.stats().currsize == 1, "%zu entries of one key", cache.stats().currsize);
  cache.resize(0, dropped);
  validators.release(dropped);
  CHECK(!cache.enabled(), "a cache of no entries is enabled");
  insert(cache, key(5), validators);
  CHECK(!holds(cache, key(5)), "an entry in a cache of none");
  validators.check_all_released_once();
}

void check_keys_and_forget() {
  Cache cache(16);
  Validators validators(16);
  insert(cache, key(1, 1), validators);
  insert(cache, key(1, 2), validators);
  insert(cache, key(2, 1), validators);
  CacheKey moved = key(1, 1);
  moved.data += 8;
  CHECK(!holds(cache, moved) && !holds(cache, key(1, 3)) && !holds(cache, key(2, 2)), "another key hit");

  Cache::Dropped dropped;
  const std::uint64_t before = cache.forgets();
  cache.forget(1, dropped);
  CHECK(dropped.size() == 2 && cache.stats().invalidations == 2, "%zu of 2 forgotten", dropped.size());
  validators.release(dropped);
  CHECK(holds(cache, key(2, 1)) && !holds(cache, key(1, 1)), "the wrong owner was forgotten");

  // Somebody who read the memory before it was forgotten comes too late.
  cache.insert(key(1, 1), Digest{}, validators.make(), before, dropped);
  validators.release(dropped);
  CHECK(!holds(cache, key(1, 1)), "an entry from before forget() came in after it");

  cache.hit(), cache.miss(), cache.bypass();
  cache.clear(dropped);
  validators.release(dropped);
  const CacheStats stats = cache.stats();
  CHECK(stats.hits + stats.misses + stats.bypasses + stats.invalidations + stats.currsize == 0,
        "after clear()");
  CHECK(stats.maxsize == 16, "clear() made maxsize %zu", stats.maxsize);
  validators.check_all_released_once();
}

void check_many_threads() {
  constexpr int kThreads = 8, kRounds = 20000;
  Cache cache(16);
  Validators validators(kThreads * kRounds);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed() + static_cast<unsigned long long>(t));
      Cache::Dropped dropped;
      for (int i = 0; i < kRounds; ++i) {
        const std::uint64_t bits = random();
        const CacheKey wanted = key(1 + bits % 24, (bits >> 8) % 2);
        Digest digest;
        Validator validator;
        switch ((bits >> 16) % 64) {
          case 0: cache.clear(dropped); break;
          case 1: cache.resize((bits >> 24) % 24, dropped); break;
          case 2:
          case 3: cache.forget(wanted.owner, dropped); break;
          case 4:
          case 5: cache.invalidate(wanted, dropped); break;
          default:
            if (cache.find(wanted, digest, validator)) {
              CHECK(digest[0] == static_cast<std::uint8_t>(wanted.owner), "the digest of another key");
              CHECK(validator.version < validators.made, "a validator that nobody made");
              cache.hit();
            } else {
              cache.miss();
              insert(cache, wanted, validators);
            }
        }
        validators.release(dropped);
        CHECK(cache.stats().currsize <= 24, "%zu entries", cache.stats().currsize);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(validators.made > kThreads, "hardly any entries");
  Cache::Dropped dropped;
  cache.clear(dropped);
  validators.release(dropped);
  validators.check_all_released_once();
}

// At most one at a time computes a key, and everybody comes through.
void check_in_flight() {
  constexpr int kThreads = 8, kRounds = 3000, kKeys = 3;
  Cache cache(4);
  std::atomic<int> running[kKeys] = {};
  std::atomic<int> computed{0}, waited{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const auto which = static_cast<std::size_t>((i + t) % kKeys);
        const CacheKey wanted = key(which + 1);
        if (const auto other = cache.enter(wanted)) {
          while (!other->wait()) {
          }
          ++waited;
          continue;
        }
        CHECK(++running[which] == 1, "two compute one key");
        std::this_thread::yield();
        --running[which];
        ++computed;
        cache.leave(wanted);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(computed + waited == kThreads * kRounds, "%d and %d", computed.load(), waited.load());
  CHECK(computed > 0, "nobody computed");
  for (std::uint64_t owner = 1; owner <= kKeys; ++owner) {
    CHECK(cache.enter(key(owner)) == nullptr, "a key is still being computed");
    cache.leave(key(owner));
    cache.leave(key(owner));  // of a key that nobody computes: nothing
  }
}

// The child's cache is empty and works, whatever the parent's threads held at the fork.
void check_fork() {
  Cache::Dropped dropped;
  cache().resize(7, dropped);
  cache().insert(key(1), Digest{}, Validator{}, cache().forgets(), dropped);
  CHECK(cache().enter(key(9)) == nullptr, "a key that nobody computes");  // and it stays begun
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (std::uint64_t t = 0; t < 4; ++t) {
    busy.emplace_back([&, t] {
      Cache::Dropped mine;
      for (std::uint64_t i = 0; !stop; ++i) {
        cache().insert(key(i % 16 + 2, t), Digest{}, Validator{}, cache().forgets(), mine);
        mine.clear();
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      Cache::Dropped none;
      const bool empty = cache().stats().currsize == 0 && cache().stats().maxsize == 7;
      const bool free = cache().enter(key(9)) == nullptr;
      cache().insert(key(1), Digest{}, Validator{}, cache().forgets(), none);
      _exit(!empty ? 1 : !free ? 2 : holds(cache(), key(1)) ? 0 : 3);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with status %d", status);
  }
  stop = true;
  for (std::thread& thread : busy) {
    thread.join();
  }
  cache().leave(key(9));
  CHECK(cache().stats().currsize == 7, "the parent's cache has %zu entries", cache().stats().currsize);
}

}  // namespace

int main() {
  check_order();
  check_keys_and_forget();
  check_many_threads();
  check_in_flight();
  check_fork();
  std::printf("every validator released once\n");
}
