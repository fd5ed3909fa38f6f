#!/usr/bin/env bash
# The Python tests over the native module built with a sanitizer, which the C++ tests cannot stand for:
#   bash .ci/sanitized_tests.sh address|thread [arguments of pytest]
# From the root of the clone, with the environment of the tests in .venv. What runs, and what is left out and why, is
# decided here only. A report ends the process with a status that is not 0, at once or, of a
# race, when it ends.
set -eu
sanitizer=${1:-none}
shift || true
root=$PWD
python=$root/.venv/bin/python
build=$root/build/module-$sanitizer

# Under AddressSanitizer and UndefinedBehaviorSanitizer: every tests/test_*.py but these, so that a new file runs.
left_out=(
  # Nothing native: Python and documents alone.
  test_docs test_documented_tables test_layers test_profile test_reported_faults test_reference_algorithms
  # A GPU is needed.
  test_cuda test_cuda_blake3 test_cuda_cache test_cuda_kernel test_cuda_streams test_pending
  # Memory is measured or limited, which the sanitizer's shadow memory and its quarantine make meaningless.
  test_cache_memory test_large_buffers test_leaks test_reported_memory test_zero_copy
  # The time until Ctrl-C has its effect is measured.
  test_executor_interrupted test_interrupts test_lazy_interrupted
  # What the built file links and exports, or what a process has imported, is compared.
  test_distribution test_import
  # Most of it is many processes, each of which imports PyTorch under the sanitizer for 5 s; some are killed.
  test_cache_fork test_fork test_interpreters test_reported_processes
  # Not run to their end under the sanitizer so far; each is to be taken off here once it has passed.
  test_cache_state_machine test_confusions test_executor test_identity_tensors test_image_threads test_intake_lookups
  test_item_algorithms test_item_hashes test_item_machine test_item_nesting test_items test_lazy test_lazy_threads
  test_nesting test_pieces test_reported_values test_threads test_xxh3
)
# Under ThreadSanitizer: what hashes in several threads, since without them there is no race. And cache_threads.py.
# Not run to their end under it so far: test_threads test_image_threads test_executor test_cache_hostile test_lifetimes.
threaded=(test_lazy_threads)
# Left out under either: tests/cli/, demos/ and engines/, which test Python and start processes.

# Few examples and machines: a sanitizer sees at the first execution what a comparison of results may miss.
export MMHASH_TEST_SEED="${MMHASH_TEST_SEED:-41}" MMHASH_TEST_EXAMPLES=8 MMHASH_TEST_MACHINES=10

# Without link-time optimization, which takes minutes, and not stripped: reports have names and lines.
build_module() {
  rm -rf "$build/package"
  mkdir -p "$build/package"
  cp -r mmhash "$build/package"
  rm -f "$build"/package/mmhash/*.so
  cmake -S . -B "$build" -DMMHASH_SANITIZE="$sanitizer" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$build/package/mmhash" \
    -DPython_EXECUTABLE="$python" -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" >/dev/null
  cmake --build "$build" --parallel 2 >/dev/null
}

preloaded=
variables=(PYTHONPATH="$build/package")
case $sanitizer in
  address)
    # libstdc++ too: the sanitizer looks for its __cxa_throw when the process starts, and CPython is linked without.
    preloaded="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so.6)"
    # CPython's pools would hide what is read beyond an object, or after its end. CPython never frees all that it has:
    # no leaks are looked for here, but by tests/test_leaks.py.
    variables+=(PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
      UBSAN_OPTIONS=print_stacktrace=1)
    ;;
  thread)
    preloaded=$(g++ -print-file-name=libtsan.so)
    variables+=(TSAN_OPTIONS="report_signal_unsafe=0 die_after_fork=0")
    ;;
  *)
    echo "sanitized_tests.sh: expected address or thread, found $sanitizer" >&2
    exit 2
    ;;
esac
under_sanitizer() {
  env "${variables[@]}" LD_PRELOAD="$preloaded" "$python" "$@"
}

files=()
if [ "$sanitizer" = address ]; then
  for file in tests/test_*.py; do
    [[ " ${left_out[*]} " == *" $(basename "$file" .py) "* ]] || files+=("$root/$file")
  done
else
  files=("${threaded[@]/%/.py}")
  files=("${files[@]/#/$root/tests/}")
fi

build_module
cd "$build/package" # `python -m` looks here before PYTHONPATH
under_sanitizer -c "import mmhash; assert mmhash.__file__.startswith('$build/'), mmhash.__file__"
[ "$sanitizer" = address ] || under_sanitizer "$root/tests/cpp/cache_threads.py"
# -s: the report goes to stderr as the process ends, and would be lost with what pytest has captured.
under_sanitizer -m pytest -x -q -s -p no:cacheprovider "$@" "${files[@]}"
