// Running C++ code without the GIL.
//
// When it pays (measured on Zen 3, CPython 3.11). Releasing the GIL and taking it again costs less than
// 100 ns as long as nobody else takes it meanwhile, and up to 1 MiB nobody does: the hash is over before a
// waiting thread has woken up, so that even beside a thread that spins in Python, the time of a call stays
// what it is. From 2 MiB (64 us) on, one call in ten then waits for the other's switch interval, 5 ms,
// which is the price of letting the others run. Below kGilReleaseBytes (8 us) there is nothing to gain: 1/600
// of a switch interval.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>

#include "intake/take_gil.h"

namespace mmhash {

// Whether the interpreter is ending. Needs the GIL.
inline bool is_finalizing() {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

// Calls f, which must touch no Python object, without the GIL. Exceptions of f pass through.
template <typename F>
void without_gil(F f) {
  PyThreadState* const state = PyEval_SaveThread();
  try {
    f();
  } catch (...) {
    mmhash_take_gil(state);
    throw;
  }
  mmhash_take_gil(state);
}

// Signals and other threads
// -------------------------
// What takes long goes on for kSlice at most until it has asked for signals, whose Python handlers (Ctrl-C's
// raises) run in the main thread alone and only where they are asked for; and what holds the GIL gives it to
// others after kTurn. With a thread that spins in Python each of these costs its switch interval, 5 ms.
inline constexpr std::chrono::milliseconds kSlice{50};
inline constexpr std::chrono::milliseconds kTurn{10};

// Runs the handlers of signals that have arrived. Throws what they raise. Needs the GIL.
inline void check_signals() {
  if (PyErr_CheckSignals() != 0) {
    throw pybind11::error_already_set();
  }
}

// Calls f(deadline) without the GIL until it returns true, and looks after signals in between.
template <typename F>
void without_gil_in_slices(F f) {
  for (bool done = false;;) {
    without_gil([&] { done = f(std::chrono::steady_clock::now() + kSlice); });
    if (done) {
      return;
    }
    check_signals();
  }
}

// The same for a function that may need the GIL, and then gives it to others itself.
template <typename F>
void in_slices(bool needs_gil, F f) {
  if (!needs_gil) {
    return without_gil_in_slices(f);
  }
  while (!f(std::chrono::steady_clock::now() + kSlice)) {
    check_signals();
  }
}

// For a loop of small steps that holds the GIL: call step() in each. Other threads run meanwhile, and it may
// throw.
class Turns {
 public:
  void step() {
    if (--left_ == 0) {
      look();
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr unsigned kStepsPerLook = 64;  // the clock is read once in so many: 25 ns

  void look() {
    left_ = kStepsPerLook;
    const Clock::time_point now = Clock::now();
    if (end_ == Clock::time_point{}) {
      end_ = now + kTurn;
    } else if (now >= end_) {
      without_gil([] {});
      check_signals();
      end_ = Clock::now() + kTurn;
    }
  }

  unsigned left_ = kStepsPerLook;
  Clock::time_point end_{};
};

}  // namespace mmhash
