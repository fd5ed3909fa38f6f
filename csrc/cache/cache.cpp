#include "cache/cache.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <new>
#include <utility>

namespace mmhash {

void InFlight::finish() {
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
  }
  done_.notify_all();
}

bool InFlight::wait() {
  std::unique_lock lock(mutex_);
  return done_.wait_for(lock, std::chrono::milliseconds(100), [this] { return finished_; });
}

bool Cache::find(const CacheKey& key, Digest& digest, Validator& validator) {
  std::lock_guard lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) {
    return false;
  }
  entries_.splice(entries_.begin(), entries_, found->second);
  digest = found->second->digest;
  validator = found->second->validator;
  return true;
}

void Cache::remove(Entries::iterator entry, Dropped& dropped) {
  dropped.push_back(entry->validator);
  index_.erase(entry->key);
  const auto found = by_owner_.find(entry->key.owner);
  std::erase(found->second, entry);
  if (found->second.empty()) {
    by_owner_.erase(found);
  }
  entries_.erase(entry);
}

void Cache::remove_all(std::uint64_t owner, Dropped& dropped) {
  const auto found = by_owner_.find(owner);
  if (found == by_owner_.end()) {
    return;
  }
  dropped.reserve(dropped.size() + found->second.size());
  for (const Entries::iterator entry : found->second) {
    dropped.push_back(entry->validator);
    index_.erase(entry->key);
    entries_.erase(entry);
    ++invalidations_;
  }
  by_owner_.erase(found);
}

void Cache::evict(Dropped& dropped) {
  while (entries_.size() > maxsize_) {
    remove(std::prev(entries_.end()), dropped);
    ++evictions_;
  }
}

void Cache::invalidate(const CacheKey& key, Dropped& dropped) {
  std::lock_guard lock(mutex_);
  if (const auto found = index_.find(key); found != index_.end()) {
    remove(found->second, dropped);
    ++invalidations_;
  }
}

void Cache::insert(const CacheKey& key, const Digest& digest, const Validator& validator,
                   std::uint64_t forgets, Dropped& dropped) {
  std::lock_guard lock(mutex_);
  dropped.reserve(dropped.size() + 2);  // so that nothing below can fail once the entry stands
  if (forgets != forgets_.load()) {
    dropped.push_back(validator);
    return;
  }
  if (const auto found = index_.find(key); found != index_.end()) {
    remove(found->second, dropped);
  }
  std::vector<Entries::iterator>& siblings = by_owner_[key.owner];
  siblings.reserve(siblings.size() + 1);
  entries_.push_front({key, digest, validator});
  try {
    index_.emplace(key, entries_.begin());
  } catch (...) {
    entries_.pop_front();
    throw;
  }
  siblings.push_back(entries_.begin());
  evict(dropped);
}

void Cache::forget(std::uint64_t owner, Extent memory, Dropped& dropped) {
  std::lock_guard lock(mutex_);
  ++forgets_;
  remove_all(owner, dropped);
  for (auto next = entries_.begin(); next != entries_.end();) {
    const auto entry = next++;
    if (entry->validator.memory.meets(memory)) {
      remove(entry, dropped);
      ++invalidations_;
    }
  }
}

void Cache::end(std::uint64_t owner, Dropped& dropped) {
  std::lock_guard lock(mutex_);
  remove_all(owner, dropped);
}

void Cache::clear(Dropped& dropped) {
  std::lock_guard lock(mutex_);
  ++forgets_;
  dropped.reserve(dropped.size() + entries_.size());
  for (const Entry& entry : entries_) {
    dropped.push_back(entry.validator);
  }
  entries_.clear();
  index_.clear();
  by_owner_.clear();
  hits_ = misses_ = bypasses_ = evictions_ = invalidations_ = 0;
}

void Cache::resize(std::size_t maxsize, Dropped& dropped) {
  std::lock_guard lock(mutex_);
  maxsize_ = maxsize;
  evict(dropped);
}

CacheStats Cache::stats() const {
  std::lock_guard lock(mutex_);
  return {hits_, misses_, bypasses_, evictions_, invalidations_, maxsize_, entries_.size()};
}

std::shared_ptr<InFlight> Cache::enter(const CacheKey& key) {
  auto mine = std::make_shared<InFlight>();  // before anything is changed, since it may throw
  std::lock_guard lock(mutex_);
  const auto [running, first] = in_flight_.try_emplace(key, std::move(mine));
  return first ? nullptr : running->second;
}

bool Cache::others_may_wait() const {
  std::lock_guard lock(mutex_);
  return std::any_of(in_flight_.begin(), in_flight_.end(),
                     [](const auto& running) { return running.second->ours(); });
}

void Cache::leave(const CacheKey& key) {
  std::shared_ptr<InFlight> running;
  {
    std::lock_guard lock(mutex_);
    if (const auto found = in_flight_.find(key); found != in_flight_.end()) {
      running = std::move(found->second);
      in_flight_.erase(found);
    }
  }
  if (running != nullptr) {
    running->finish();
  }
}

namespace {
std::atomic<Cache*> the_cache{nullptr};
std::atomic<std::size_t> size_for_child{kDefaultCacheSize};
}  // namespace

Cache& cache() {
  Cache* current = the_cache.load(std::memory_order_acquire);
  if (current == nullptr) {
    // A child must not wait for a mutex that a thread of its parent held. Tried again where memory is short.
    static const bool registered = [] {
      const int status = pthread_atfork(
          [] {
            if (const Cache* parent = the_cache.load()) {
              size_for_child.store(parent->stats().maxsize);
            }
          },
          nullptr, [] { the_cache.store(nullptr); });
      return status == 0 ? true : throw std::bad_alloc();
    }();
    static_cast<void>(registered);
    Cache* made = new Cache(size_for_child.load());
    if (the_cache.compare_exchange_strong(current, made)) {
      return *made;
    }
    delete made;
  }
  return *current;
}

}  // namespace mmhash
