// Taking the GIL again, in a thread that CPython may end there.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// PyEval_RestoreThread(state), which hangs in a thread that CPython ends.
void mmhash_take_gil(void* state);

#ifdef __cplusplus
}
#endif
