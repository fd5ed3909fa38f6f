// Running C++ code without the GIL.
//
// When it pays. Releasing the GIL and taking it again costs 60 ns when nobody wants it, but while another
// thread runs Python code the taking waits for that thread's switch interval, 5 ms by default. Keeping
// the GIL costs the others the time of the hash: 8 us for 256 KiB. So it is kept below
// kGilReleaseBytes, where the others lose less than 1/500 of a switch interval, and released above, where
// a scheduler's event loop would feel it.
#pragma once

#include <Python.h>
#include <cxxabi.h>
#include <unistd.h>

namespace mmhash {

// Calls f, which must touch no Python object, without the GIL. Exceptions of f pass through.
template <typename F>
void without_gil(F f) {
  struct Released {
    PyThreadState* state = PyEval_SaveThread();
    void take_back() {
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
