#include "values/image_turn.h"

#include <pthread.h>
#include <pythread.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>
#include <vector>

#include "intake/attributes.h"
#include "intake/gil.h"

// Mutual exclusion, guarded by the GIL
// ------------------------------------
// Image.load() is foreign code that must not run twice at once: it decodes into the image itself, reads a
// file at a position that all users of the file share, and gives up the GIL while it does so. The turns that
// are being taken stand in one short table. The table itself is read and written with the GIL and calls no
// Python code in between, so it needs no lock, and no signal handler, finalizer or fork finds it half
// written. An entry is found by address, which is sound because it lives in a scope that holds the image and
// the file: an address in the table is never one that was freed. Nothing is left on an image that is loaded.
//
// Deadlock avoidance. Foreign code may ask for a second turn while it has one: a finalizer that the garbage
// collector runs, a signal handler, a load() that hashes its parts. Each entry names its thread and each
// waiting thread the entry, which together are the wait-for graph; a thread that would close a circle in it
// is refused. A turn takes its image and its file at once, never one while it waits for the other.

namespace mmhash {

struct ImageTurn::Entry {
  const py::object image;
  const py::object file;  // None or null if the image has none, or is read already
  const unsigned long thread = PyThread_get_thread_ident();
  bool left_behind = false;            // by a fork: in this process there is no such thread
  PyThread_type_lock ended = nullptr;  // held until the turn is over; made by the first who waits for it

  Entry(py::handle its_image, py::handle its_file)
      : image(py::reinterpret_borrow<py::object>(its_image)),
        file(py::reinterpret_borrow<py::object>(its_file)) {}
  ~Entry() {
    if (ended != nullptr) {
      PyThread_free_lock(ended);
    }
  }
};

namespace {

using Entry = ImageTurn::Entry;

struct Table {
  std::vector<std::shared_ptr<Entry>> turns;
  std::vector<std::pair<unsigned long, const Entry*>> waiting;  // a thread, and for what
  unsigned forks = 0;
};

std::atomic<unsigned> forks{0};  // that lie between this process and the one that loaded the module

Table& table() {
  static auto* const made = new Table;  // the interpreter may end before it
  static const bool watched = [] {
    return pthread_atfork(nullptr, nullptr, [] { ++forks; }) == 0 ? true : throw std::bad_alloc();
  }();
  static_cast<void>(watched);
  if (made->forks != forks) {
    made->forks = forks;
    made->waiting.clear();
    for (const auto& turn : made->turns) {
      turn->left_behind |= turn->thread != PyThread_get_thread_ident();
    }
  }
  return *made;
}

std::shared_ptr<Entry> find(py::handle image, py::handle file) {
  const bool is_file = file && !file.is_none();
  for (const auto& turn : table().turns) {
    if (turn->image.is(image) || (is_file && turn->file.is(file))) {
      return turn;
    }
  }
  return nullptr;
}

// Whether waiting for `entry` would be waiting for this thread.
bool waits_for_us(const Entry* entry) {
  const unsigned long us = PyThread_get_thread_ident();
  while (entry != nullptr && entry->thread != us) {
    const auto& waiting = table().waiting;
    const auto next = std::find_if(waiting.begin(), waiting.end(),
                                   [&](const auto& pair) { return pair.first == entry->thread; });
    entry = next == waiting.end() ? nullptr : next->second;
  }
  return entry != nullptr;
}

[[noreturn]] void refuse(const char* why) {
  PyErr_SetString(PyExc_RuntimeError, why);
  throw py::error_already_set();
}

void refuse_to_wait_forever(const Entry& entry) {
  if (entry.left_behind) {
    refuse(
        "the image was being loaded by another thread when this process forked, and is half decoded here; "
        "open its file again");
  }
  if (waits_for_us(&entry)) {
    refuse(
        "the image is being loaded by this thread, or by one that waits for it: a load(), finalizer or "
        "signal handler asked for the hash of an image within the loading of one; hash it afterwards");
  }
  if (is_finalizing()) {
    refuse("the image is being loaded by a thread that the end of the interpreter has stopped");
  }
}

void wait_for(const std::shared_ptr<Entry>& entry) {
  refuse_to_wait_forever(*entry);
  if (entry->ended == nullptr) {
    entry->ended = PyThread_allocate_lock();
    if (entry->ended == nullptr) {
      throw std::bad_alloc();
    }
    PyThread_acquire_lock(entry->ended, NOWAIT_LOCK);
  }
  auto& waiting = table().waiting;
  const std::pair<unsigned long, const Entry*> us{PyThread_get_thread_ident(), entry.get()};
  waiting.push_back(us);
  PyLockStatus status = PY_LOCK_FAILURE;
  without_gil([&] { status = PyThread_acquire_lock_timed(entry->ended, -1, 1); });
  waiting.erase(std::find(waiting.begin(), waiting.end(), us));
  if (status == PY_LOCK_ACQUIRED) {
    PyThread_release_lock(entry->ended);  // to the next who waits
  } else if (PyErr_CheckSignals() != 0) {
    throw py::error_already_set();
  }
}

}  // namespace

py::object own_attribute(py::handle image, const char* name) {
  const auto attributes = py::reinterpret_steal<py::object>(PyObject_GenericGetDict(image.ptr(), nullptr));
  if (!attributes) {
    throw py::error_already_set();
  }
  return find_item(attributes, name);
}

ImageTurn::ImageTurn(py::handle image) {
  for (;;) {
    const py::object file = own_attribute(image, "fp");
    if (const auto other = find(image, file)) {
      wait_for(other);
      continue;
    }
    entry_ = std::make_shared<Entry>(image, file);
    table().turns.push_back(entry_);
    return;
  }
}

ImageTurn::~ImageTurn() {
  auto& turns = table().turns;
  turns.erase(std::find(turns.begin(), turns.end(), entry_));
  if (entry_->ended != nullptr) {
    PyThread_release_lock(entry_->ended);
  }
}

}  // namespace mmhash
