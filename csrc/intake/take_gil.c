#include "intake/take_gil.h"

#include <Python.h>
#include <pthread.h>
#include <unistd.h>

// Forced unwinding
// ----------------
// While the interpreter shuts down, CPython before 3.14 ends a daemon thread that wants the GIL by
// pthread_exit(), with which glibc unwinds its stack by libgcc_s. C++ frames further out would then touch
// Python objects without the GIL in their destructors, or not be understood at all: where C++ has another
// unwinder (libc++ with LLVM's libunwind, or a libstdc++ that was linked statically), the process crashes at
// the first of them. So the unwinding must not reach C++. Do what 3.14 does: let the thread hang until the
// process is gone. In a cleanup handler, which runs at the frame that pushed it, and in C without
// -fexceptions, where that frame is found by setjmp() and needs no unwinder of ours.
//
// This holds where C++ waits for the GIL. In Python code that C++ has called, such as a finalizer or Pillow's
// load(), CPython ends a thread all the same, and its C++ callers are unwound, like those of any extension.

static void hang(void* unused) {
  (void)unused;
  for (;;) {
    pause();
  }
}

void mmhash_take_gil(void* state) {
  pthread_cleanup_push(hang, NULL);
  PyEval_RestoreThread(state);
  pthread_cleanup_pop(0);
}
