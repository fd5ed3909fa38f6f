// Running C++ code without the GIL.
//
// When it pays (measured on Zen 3, CPython 3.11). Releasing the GIL and taking it again costs less than
// 100 ns as long as nobody else takes it meanwhile, and up to 1 MiB nobody does: the hash is over before a
// waiting thread has woken up, so that even beside a thread that spins in Python, the time of a call stays
// what it is. From 2 MiB (64 us) on, one call in ten then waits for the other's switch interval, 5 ms,
// which is the price of letting the others run. Below kGilReleaseBytes (8 us) there is nothing to gain: 1/600
// of a switch interval.
#pragma once

#include <Python.h>
#include <unistd.h>

#include <cstddef>  // a header of the standard library, which says whose it is
#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

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
  struct Released {
    PyThreadState* state = PyEval_SaveThread();
    void take_back() {
#ifdef __GLIBCXX__
      try {
        PyEval_RestoreThread(state);
      } catch (abi::__forced_unwind&) {
        // The interpreter is shutting down and CPython before 3.14 ends a daemon thread here by
        // unwinding its stack, whose destructors would then touch Python objects without the GIL. Do
        // what 3.14 does: let the thread hang until the process is gone.
        for (;;) {
          pause();
        }
      }
#else
      PyEval_RestoreThread(state);
#endif
    }
  } released;
  try {
    f();
  } catch (...) {
    released.take_back();
    throw;
  }
  released.take_back();
}

}  // namespace mmhash
