// Fault injection: a library that a test preloads (LD_PRELOAD) and tells, through ctypes, which allocation of
// mmhash's is to fail, and whether threads can be started. glibc only.
//
// An allocation is mmhash's if the innermost frame that is not of a runtime (the C and C++ libraries,
// CPython) is one of mmhash._core: its own `new` and std::vector, and the objects that it asks CPython for
// (with PYTHONMALLOC=malloc, without which CPython has pools of its own). What torch or NumPy allocate is
// theirs.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unwind.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

enum owner { RUNTIME = 1, MMHASH };

struct range {
  uintptr_t begin, end;
  enum owner owner;
};

static struct range ranges[64];
static int range_count;

static atomic_bool armed;
static atomic_long counted, first_to_fail, last_to_fail;
static atomic_bool no_threads;
static atomic_long threads_refused;

static const char* const runtime_names[] = {"libstdc++", "libc.so",  "libgcc_s",
                                            "libpython", "ld-linux", "faults_preload"};

static int add_object(struct dl_phdr_info* object, size_t size, void* context) {
  (void)size;
  bool* is_first = context;
  const char* name = object->dlpi_name;
  enum owner owner = 0;
  if (*is_first) {
    owner = RUNTIME;  // the program itself: python
    *is_first = false;
  } else if (strstr(name, "/_core.") != NULL) {
    owner = MMHASH;
  }
  for (size_t i = 0; i < sizeof runtime_names / sizeof *runtime_names; ++i) {
    if (strstr(name, runtime_names[i]) != NULL) {
      owner = RUNTIME;
    }
  }
  for (int i = 0; owner != 0 && i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)* part = &object->dlpi_phdr[i];
    if (part->p_type == PT_LOAD && (part->p_flags & PF_X) && range_count < 64) {
      const uintptr_t begin = object->dlpi_addr + part->p_vaddr;
      ranges[range_count++] = (struct range){begin, begin + part->p_memsz, owner};
    }
  }
  return 0;
}

static _Unwind_Reason_Code look_at_frame(struct _Unwind_Context* frame, void* found) {
  const uintptr_t address = _Unwind_GetIP(frame);
  for (int i = 0; i < range_count; ++i) {
    if (ranges[i].begin <= address && address < ranges[i].end) {
      if (ranges[i].owner == RUNTIME) {
        return _URC_NO_REASON;  // and so on to its caller
      }
      *(bool*)found = true;
      return _URC_END_OF_STACK;
    }
  }
  return _URC_END_OF_STACK;
}

static _Thread_local bool looking;

static bool fails(void) {
  if (!atomic_load(&armed) || looking) {
    return false;
  }
  looking = true;
  bool is_ours = false;
  _Unwind_Backtrace(look_at_frame, &is_ours);
  looking = false;
  if (!is_ours) {
    return false;
  }
  const long number = atomic_fetch_add(&counted, 1) + 1;
  return atomic_load(&first_to_fail) <= number && number <= atomic_load(&last_to_fail);
}

static void* none(void) {
  errno = ENOMEM;
  return NULL;
}

void* malloc(size_t size) {
  return fails() ? none() : __libc_malloc(size);
}

void* calloc(size_t count, size_t size) {
  return fails() ? none() : __libc_calloc(count, size);
}

void* realloc(void* old, size_t size) {
  return fails() ? none() : __libc_realloc(old, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  return fails() ? none() : __libc_memalign(alignment, size);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
  static atomic_uintptr_t next;
  if (atomic_load(&no_threads)) {
    atomic_fetch_add(&threads_refused, 1);
    return EAGAIN;
  }
  if (atomic_load(&next) == 0) {
    atomic_store(&next, (uintptr_t)dlsym(RTLD_NEXT, "pthread_create"));
  }
  int (*create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) = (void*)atomic_load(&next);
  return create(thread, attributes, start, argument);
}

// From now on mmhash's allocations are counted, and the first-th to last-th fail.
void faults_arm(long first, long last) {
  range_count = 0;
  bool is_first = true;
  dl_iterate_phdr(add_object, &is_first);
  atomic_store(&counted, 0);
  atomic_store(&first_to_fail, first);
  atomic_store(&last_to_fail, last);
  atomic_store(&armed, true);
}

// No more. How many there were.
long faults_disarm(void) {
  atomic_store(&armed, false);
  return atomic_load(&counted);
}

// Whether pthread_create() refuses. How often it did since the last call.
long faults_refuse_threads(bool refuse) {
  atomic_store(&no_threads, refuse);
  return atomic_exchange(&threads_refused, 0);
}
