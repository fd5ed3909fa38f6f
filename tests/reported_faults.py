"""Faults, mostly those that others' public reports describe, and the test that tries each here.

A row is added by writing it down: the reports, the situation in one line, and a node id relative to
`tests/`. A fault without a report was found here. A report is named by its repository (the owner
only where the name alone could be another's) and number.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """What went wrong elsewhere, and where that is tried here."""

    reports: tuple[str, ...]
    situation: str
    test: str


FAULTS = (
    # Values: what has one hash and should not, or two and should not.
    Fault(
        ("joblib 94", "nengo 1122", "dask 2498", "joblib 517"),
        "a reversed, Fortran-ordered or unpickled array has another hash, or none",
        "test_reported_values.py::test_a_layout_that_pickle_changes",
    ),
    Fault(
        ("joblib 231", "joblib 213"),
        "a list that was pickled, or whose strings are not the same object, has another hash",
        "test_reported_values.py::test_what_is_shared_within_a_value",
    ),
    Fault(
        ("joblib 347", "joblib 55"),
        "0-d arrays raise; NumPy scalars of different value share a hash",
        "test_reported_values.py::test_zero_dimensions",
    ),
    Fault(
        ("dask 829", "datasets 6454", "streamlit 14622"),
        "only what repr() shows, or a sample, of a large array is hashed",
        "test_reported_values.py::test_elements_in_the_middle",
    ),
    Fault(
        ("dask 6844",),
        "a list, a set, a dict and a range of the same elements share a hash",
        "test_reported_values.py::test_containers_of_the_same_elements",
    ),
    Fault(
        ("datasets 8284", "datasets 6318"),
        "sets and string keys are hashed in an order that changes from process to process",
        "test_reported_values.py::test_the_hash_seed_of_the_process",
    ),
    Fault(
        ("pytorch 192601", "numpy 21210", "hermes-agent 83862"),
        "every NaN object is another key; 0.0 and -0.0, or 1, 1.0 and True, are one",
        "test_reported_values.py::test_numbers_that_equality_confuses",
    ),
    Fault(
        ("ms-swift 9360", "exo 2152", "dynamo 8340"),
        "images of the same bytes and another shape or mode share a cache entry",
        "test_reported_values.py::test_images_of_the_same_bytes",
    ),
    Fault(
        ("streamlit 15397", "Pillow 9820"),
        "the palette of an image is left out, or read in the wrong order of channels",
        "test_reported_values.py::test_palettes_in_several_orders",
    ),
    Fault(
        ("Pillow 8828", "Pillow 2973"),
        "an image over foreign memory is cut off from it by being read",
        "test_reported_memory.py::test_an_image_over_a_buffer",
    ),
    Fault(
        ("cpython 142664",),
        "hashing a buffer runs methods of its exporter, which free the memory",
        "test_reported_values.py::test_a_buffer_with_methods_of_its_own",
    ),
    Fault(
        ("pypy 2831",),
        "pointers of ctypes are exported as plain bytes, and their addresses read as values",
        "test_reported_values.py::test_pointers",
    ),
    # Memory: what changed without a word, or is no more.
    Fault(
        ("numpy 27777", "numpy 14132"),
        "a copy of a memory-mapped array calls itself read-only, and can be written all the same",
        "test_reported_memory.py::test_a_read_only_copy_with_a_writable_base",
    ),
    Fault(
        ("numpy 25220",),
        "a read-only buffer handed to pickle becomes an array that others can write",
        "test_reported_memory.py::test_buffers_of_pickle",
    ),
    Fault(
        ("safetensors 762", "torchtune 1075", "pytorch 124528"),
        "tensors that are mapped from a file change when the file is written",
        "test_reported_memory.py::test_a_file_that_is_written",
    ),
    Fault(
        ("Model-Optimizer 2443", "pytorch 54403"),
        "what is written in inference mode does not count as a new version",
        "test_reported_memory.py::test_writes_in_inference_mode",
    ),
    Fault(
        ("pytorch 100821",),
        "a lazy clone shares its memory until one of the two is written",
        "test_reported_memory.py::test_copy_on_write",
    ),
    Fault(
        ("pytorch 171676", "pytorch 195862", "pytorch 184748"),
        "a tensor whose storage was freed, as FSDP does between two uses, is read",
        "test_reported_memory.py::test_a_storage_that_is_freed_and_comes_back",
    ),
    Fault(
        ("pytorch 170298",),
        "a resize_() that failed leaves a tensor larger than its storage",
        "test_reported_memory.py::test_a_resize_that_failed",
    ),
    Fault(
        ("pytorch 101266", "aiter 2688"),
        "a compiler takes the result for a constant of the function it compiles",
        "test_reported_memory.py::test_compiled_functions",
    ),
    # Processes: threads, forks, signals and ends.
    Fault(
        ("cpython 87634", "h5py 2064"),
        "a lazy attribute of one object waits for that of another",
        "test_reported_processes.py::test_items_do_not_wait_for_each_other",
    ),
    Fault(
        ("cpython 90155", "anyio 947", "anyio 1145"),
        "a cancelled waiter takes the place of the next one with it",
        "test_reported_processes.py::test_cancelled_waiters",
    ),
    Fault(
        ("cpython 88110", "more-executors 140"),
        "a child that was forked while threads run hangs, or fails, when it ends",
        "test_reported_processes.py::test_a_forked_child_ends",
    ),
    Fault(
        ("pybind11 1261", "joblib 1024"),
        "functions of an extension cannot be sent to other processes",
        "test_reported_processes.py::test_functions_can_be_pickled",
    ),
    Fault(
        ("ultrajson 254", "docker-library/python 211", "cpython 148260"),
        "a thread with a small stack overflows it",
        "test_reported_processes.py::test_threads_with_small_stacks",
    ),
    Fault(
        ("ray 35304", "dill 735", "tinygrad 1875"),
        "__del__ is called when the interpreter can import nothing any more",
        "test_reported_processes.py::test_finalizers_at_exit",
    ),
    Fault(
        ("cpython 80961", "flux-core 6434"),
        "a program that leaves an executor open does not end",
        "test_reported_processes.py::test_an_executor_that_nobody_shuts_down",
    ),
    # What was mended here: first what others' reports describe.
    Fault(
        ("Pillow 4848",),
        "two threads hash an unread image: an error in one, another hash in the other",
        "test_image_threads.py::test_one_image_in_threads",
    ),
    Fault(
        ("Pillow 3863", "Pillow 2977"),
        "an image that fails to decode is black, and hashed, the second time",
        "test_broken_images.py::test_what_failed_once_fails_every_time",
    ),
    Fault(
        ("SGLang 11828", "SGLang 21899"),
        "a bundle is split into items: all parts keep its hash",
        "test_lazy.py::test_a_bundle_that_is_split_into_copies",
    ),
    Fault(
        ("torchvision 4508",),
        "another library writes a read-only array whose hash is cached",
        "test_cache_kinds.py::test_a_read_only_array_that_another_library_writes",
    ),
    Fault(
        ("vLLM 47736", "TensorRT-LLM 14644"),
        "items of one feature and another grid, timing, length or modality share a hash",
        "test_item_hashes.py::test_what_an_encoder_would_treat_differently",
    ),
    Fault(
        ("pytorch 77972",),
        "a real tensor under a mode that raises is refused because of the cache",
        "test_cache_kinds.py::test_a_mode_that_raises",
    ),
    Fault(
        ("robots 1970", "matplotlib 25887"),
        "a mock of a library stands in sys.modules",
        "test_intake_lookups.py::test_a_mock_is_not_the_library",
    ),
    Fault(
        ("pytorch 54789", "numpy 22840", "numba 2921"),
        "a bool is stored as a byte other than 0 and 1",
        "test_bools.py::test_arrays",
    ),
    # Then what was found here, by trying.
    Fault(
        (),
        "an archive holds what is never read, and nothing says so",
        "cli/test_cli_unread.py::test_what_is_not_read_is_said",
    ),
    Fault(
        (),
        "a finalizer touches an item while a thread hashes: the process hangs",
        "test_lazy_interrupted.py::test_requests_in_cycles_whose_finalizers_touch_items",
    ),
    Fault(
        (),
        "an exception out of a signal handler ends a read: the next item at that address fails",
        "test_lazy_interrupted.py::test_an_exception_at_any_line",
    ),
    Fault(
        (),
        "a forked child waits for a pending request for ever",
        "test_executor_interrupted.py::test_a_fork_at_any_line",
    ),
    Fault(
        (),
        "a loop is closed while its task waits for a place: the place is lost",
        "test_executor_interrupted.py::test_a_loop_that_is_closed_while_its_task_waits_for_a_place",
    ),
    Fault(
        (),
        "a thread cannot be started: its place is released twice",
        "test_executor_interrupted.py::test_a_thread_that_cannot_be_started",
    ),
    Fault(
        (),
        "one profile is entered in two threads",
        "test_profile.py::test_one_profile_in_two_threads",
    ),
    Fault(
        (),
        "an exporter is forgotten, and a frozen view of it is not",
        "test_cache_kinds.py::test_forgetting_the_exporter_forgets_what_shows_its_memory",
    ),
    Fault(
        (),
        "a subinterpreter hangs, or breaks the main one",
        "test_interpreters.py::test_a_subinterpreter_is_refused",
    ),
    Fault(
        (),
        "daemon threads hash while the interpreter ends",
        "test_threads.py::test_shutdown_while_daemon_threads_hash",
    ),
    Fault(
        (),
        "memory is short at a thread's first strided hash",
        "test_interrupts.py::test_low_memory_at_the_first_strided_hash",
    ),
    Fault(
        (),
        "Ctrl-C is heard when a large hash is done",
        "test_interrupts.py::test_a_signal_ends_the_call",
    ),
    Fault(
        (),
        "other threads stand still while a large value is hashed",
        "test_interrupts.py::test_other_threads_get_their_turns",
    ),
    Fault(
        (),
        "the UTF-8 of a long text stays in memory with it",
        "test_interrupts.py::test_long_text",
    ),
    Fault(
        (),
        "an image of many pixels cannot be allowed",
        "cli/test_cli_image_notices.py::test_a_large_image_takes_permission",
    ),
    Fault(
        (),
        "arrays in a checkpoint are refused",
        "cli/test_cli_unread.py::test_arrays_of_numpy_in_a_checkpoint",
    ),
    Fault(
        (),
        "a remedy that cannot help",
        "cli/test_cli_unread.py::test_the_remedy_for_a_dtype_that_numpy_does_not_save",
    ),
    Fault(
        (),
        "frames, orientation and depth that Pillow leaves out go unmentioned",
        "cli/test_cli_image_notices.py::test_what_is_left_out_is_said",
    ),
    Fault(
        (),
        "special tensors raise what says nothing",
        "test_bad_tensors.py::test_uninitialized",
    ),
    Fault(
        (),
        "an item's list contains itself, or is deeper than the stack",
        "test_item_nesting.py::test_a_list_that_contains_itself_is_named",
    ),
    Fault(
        (),
        "a broken image in a list is not located",
        "test_broken_images.py::test_the_place_is_named",
    ),
    Fault(
        (),
        "a variable that is not UTF-8",
        "test_import.py::test_unknown_isa_in_the_environment",
    ),
    Fault(
        (),
        "a value of another kind than all before is first hashed when the interpreter ends",
        "test_reported_processes.py::test_the_first_hash_of_the_process_at_its_exit",
    ),
    Fault(
        (),
        "a buffer hides that it holds addresses",
        "test_intake_lookups.py::test_a_buffer_that_hides_addresses",
    ),
    Fault(
        (),
        "a NumPy scalar is first hashed when the interpreter ends, and counts as another kind",
        "test_reported_processes.py::test_a_numpy_scalar_first_hashed_at_exit_is_no_other_value",
    ),
)
