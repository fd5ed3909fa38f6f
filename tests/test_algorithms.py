"""The algorithms beside XXH3, plain and keyed: against the reference, and never one for another."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blake3
import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from subprocesses import run_python
from value_strategies import nested_values

import mmhash
from mmhash import _core, algorithms

KEY = bytes(range(32))
OTHER_KEY = bytes(reversed(KEY))
#: Name and key; none of them may ever give the digest of another.
ALGORITHMS = [
    ("xxh3", None),
    ("blake3", None),
    ("blake3", KEY),
    ("blake3", OTHER_KEY),
    ("sha256", None),
    ("sha256", KEY),
    ("sha256", OTHER_KEY),
]
PACKAGED = ALGORITHMS[1:]
by_algorithm = pytest.mark.parametrize(("name", "key"), ALGORITHMS)
by_packaged = pytest.mark.parametrize(("name", "key"), PACKAGED)


def expected(value: Any, name: str, key: bytes | None) -> bytes:
    return reference.identity(value, name, key)


# What is hashed.


@given(value=nested_values, chosen=st.sampled_from(ALGORITHMS))
def test_values_are_those_of_the_reference(value: Any, chosen: tuple[str, bytes | None]) -> None:
    name, key = chosen
    assert mmhash.identity(value, algorithm=name, key=key) == expected(value, name, key)


@by_packaged
@pytest.mark.parametrize("size", [0, 1, 64, 8191, 8192, 8193, 16384, 262_143, 262_144, 4_194_305])
def test_payloads_of_every_way_to_hand_them_over(name: str, key: bytes | None, size: int) -> None:
    data = reference.payload(7, size)
    wanted = expected(data, name, key)
    assert mmhash.identity(data, algorithm=name, key=key) == wanted
    assert _core.bytes_identity_from_pieces(size, [data[:9000], data[9000:]], name, key) == wanted
    wide = np.zeros((size, 2), np.uint8)
    wide[:, 1] = np.frombuffer(data, np.uint8)
    tensor = torch.from_numpy(wide)[:, 1]
    array = np.frombuffer(data, np.uint8)
    wanted = expected(array, name, key)
    for value in (array, wide[:, 1], tensor, tensor.contiguous()):
        assert mmhash.identity(value, algorithm=name, key=key) == wanted


@by_packaged
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_do_not_show(name: str, key: bytes | None, threads: int) -> None:
    before = mmhash.get_num_threads()
    mmhash.set_num_threads(threads)
    try:
        data = reference.payload(3, 5_000_000)
        assert mmhash.identity(data, algorithm=name, key=key) == expected(data, name, key)
    finally:
        mmhash.set_num_threads(before)


@by_packaged
def test_long_text_and_long_containers(name: str, key: bytes | None) -> None:
    for value in ("\u00e9" * 400_000, "a" * 400_000, list(range(9000)), dict.fromkeys(range(9000))):
        assert mmhash.identity(value, algorithm=name, key=key) == expected(value, name, key)


@by_algorithm
def test_hash_feature_and_pending(name: str, key: bytes | None) -> None:
    feature = [torch.arange(5000), b"pixels"]
    wanted = expected(feature, name, key)
    number = mmhash.hash_feature(feature, algorithm=name, key=key)
    assert number == int.from_bytes(wanted[:8], "big")
    pending = mmhash.identity_async(feature, algorithm=name, key=key)
    assert pending.result() == wanted


# What must not be mixed.


def test_the_cache_knows_algorithm_and_key() -> None:
    mmhash.cache_resize(64)
    mmhash.cache_clear()
    before = mmhash.cache_info()
    tensor = torch.arange(100_000)
    wanted = {chosen: expected(tensor, *chosen) for chosen in ALGORITHMS}
    assert len(set(wanted.values())) == len(ALGORITHMS)
    for _ in range(2):
        for (name, key), identity in wanted.items():
            assert mmhash.identity(tensor, algorithm=name, key=key) == identity
    counts = mmhash.cache_info()
    assert counts.misses - before.misses == len(ALGORITHMS)
    assert counts.hits - before.hits == len(ALGORITHMS)


def test_a_key_that_was_opened_anew_meets_no_old_entry() -> None:
    mmhash.cache_resize(64)
    mmhash.cache_clear()
    tensor = torch.arange(100_000)
    for key in (KEY, OTHER_KEY, KEY):
        algorithms._open.cache_clear()
        found = mmhash.identity(tensor, algorithm="blake3", key=key)
        assert found == expected(tensor, "blake3", key)


# Arguments, and what is configured.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"algorithm": "md5"}, ValueError, "one of 'xxh3', 'blake3', 'sha256', found 'md5'"),
        ({"algorithm": "BLAKE3"}, ValueError, "found 'BLAKE3'"),
        ({"algorithm": b"blake3"}, TypeError, "or None, found a bytes"),
        ({"algorithm": "xxh3", "key": KEY}, ValueError, "no secret makes XXH3 safe"),
        ({"key": KEY}, ValueError, "expected None with algorithm 'xxh3'"),
        ({"algorithm": "blake3", "key": KEY[:31]}, ValueError, "expected 32 bytes, found 31"),
        ({"algorithm": "sha256", "key": KEY.hex()}, TypeError, r"bytes.fromhex\(\)"),
        ({"algorithm": algorithms.opened("blake3"), "key": KEY}, ValueError, "has its own"),
        ({"algorithms": "blake3"}, TypeError, "it takes 'cache', 'algorithm' and 'key'"),
    ],
)
@pytest.mark.parametrize("function", [mmhash.identity, mmhash.hash_feature])
def test_bad_arguments(
    function: Callable[..., Any],
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        function(b"pixels", **arguments)


def test_no_error_shows_the_key() -> None:
    secret = b"do not show this to anybody, ever"
    with pytest.raises(ValueError, match="found 33") as caught:
        mmhash.identity(1, algorithm="blake3", key=secret)
    assert "anybody" not in str(caught.value)
    assert "anybody" not in repr(algorithms.opened("blake3", secret[:32]))


def test_any_buffer_is_a_key() -> None:
    wanted = mmhash.identity(1, algorithm="blake3", key=KEY)
    for key in (bytearray(KEY), memoryview(KEY)):
        assert mmhash.identity(1, algorithm="blake3", key=key) == wanted


def test_key_ids_tell_keys_apart_and_nothing_else() -> None:
    plain, keyed = algorithms.opened("blake3"), algorithms.opened("blake3", KEY)
    assert plain.key_id is None
    assert keyed.key_id == algorithms.opened("sha256", KEY).key_id
    assert keyed.key_id != algorithms.opened("blake3", OTHER_KEY).key_id
    assert keyed.key_id not in (KEY.hex()[:16], reference.algorithm("sha256").H(KEY).hex()[:16])


def test_without_the_package_blake3() -> None:
    done = run_python(
        "import sys; sys.modules['blake3'] = None\n"
        "import mmhash; print(len(mmhash.identity(1, algorithm='sha256')))\n"
        "mmhash.identity(1, algorithm='blake3')"
    )
    assert done.stdout == "32\n"
    assert "ImportError: algorithm 'blake3' needs the package blake3" in done.stderr
    assert "pip install blake3" in done.stderr


def test_an_environment_without_the_package_blake3() -> None:
    done = run_python(
        "import sys; sys.modules['blake3'] = None; import mmhash", MMHASH_ALGORITHM="blake3"
    )
    assert "ImportError: environment variable MMHASH_ALGORITHM: algorithm 'blake3'" in done.stderr


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    return path


def test_configure(key_file: Path) -> None:
    mmhash.configure("blake3")
    assert mmhash.identity(b"pixels") == expected(b"pixels", "blake3", None)
    assert mmhash.identity(b"pixels", key=KEY) == expected(b"pixels", "blake3", KEY)
    mmhash.configure("sha256", key_file=key_file)
    for function in (mmhash.identity, lambda value: mmhash.identity_async(value).result()):
        assert function(b"pixels") == expected(b"pixels", "sha256", KEY)
    # A call that names its algorithm takes nothing from what is configured.
    assert mmhash.identity(b"pixels", algorithm="sha256") == expected(b"pixels", "sha256", None)
    assert mmhash.identity(b"pixels", algorithm="xxh3") == expected(b"pixels", "xxh3", None)
    info = mmhash.info()
    assert info["algorithm"] == "sha256"
    assert info["key_id"] == algorithms.id_of_key(KEY)
    assert info["algorithm_source"] == "configure()"


def test_what_cannot_be_configured_changes_nothing(key_file: Path) -> None:
    mmhash.configure("blake3", key=KEY)
    with pytest.raises(ValueError, match="found both"):
        mmhash.configure("sha256", key=KEY, key_file=key_file)
    with pytest.raises(ValueError, match="expected None with algorithm 'xxh3'"):
        mmhash.configure("xxh3", key=KEY)
    with pytest.raises(FileNotFoundError):
        mmhash.configure("sha256", key_file=key_file.with_name("other"))
    assert mmhash.identity(b"pixels") == expected(b"pixels", "blake3", KEY)


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (KEY, 0o604, "others cannot read, found mode 0604"),
        (KEY, 0o666, "chmod 6[04]0 "),
        (KEY[:31], 0o600, "exactly 32 bytes, found 31; make one by head -c 32"),
        (KEY + b"\n", 0o600, "found 33"),
        (KEY.hex().encode() + b"\n", 0o600, "xxd -r -p"),
        (bytes(100_000), 0o600, "found 4096 or more"),
    ],
)
def test_key_files_that_are_refused(
    key_file: Path, content: bytes, mode: int, message: str
) -> None:
    key_file.write_bytes(content)
    key_file.chmod(mode)
    with pytest.raises(ValueError, match=message):
        mmhash.configure("blake3", key_file=key_file)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks for Linux's special files")
def test_a_key_is_in_a_regular_file() -> None:
    with pytest.raises(ValueError, match="expected a regular file"):
        mmhash.configure("blake3", key_file="/dev/zero")


def in_environment(**variables: str) -> tuple[str, str]:
    done = run_python(
        "import mmhash; i = mmhash.info()\n"
        "print(i['algorithm'], i['key_id'], i['algorithm_source'], mmhash.identity(1).hex())",
        **variables,
    )
    return done.stdout.strip(), done.stderr


def test_environment(key_file: Path) -> None:
    found, _ = in_environment(MMHASH_ALGORITHM="blake3")
    assert found == f"blake3 None MMHASH_ALGORITHM {expected(1, 'blake3', None).hex()}"
    found, _ = in_environment(MMHASH_ALGORITHM="sha256", MMHASH_KEY_FILE=str(key_file))
    identity = expected(1, "sha256", KEY).hex()
    assert found == f"sha256 {algorithms.id_of_key(KEY)} MMHASH_ALGORITHM {identity}"
    found, _ = in_environment(MMHASH_ALGORITHM="", MMHASH_KEY_FILE="")
    assert found.startswith("xxh3 None default ")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MMHASH_ALGORITHM": "md5"}, "variable MMHASH_ALGORITHM: algorithm: expected one of"),
        ({"MMHASH_ALGORITHM": "xxh3", "MMHASH_KEY_FILE": "KEY"}, "expected None with algorithm"),
        ({"MMHASH_KEY_FILE": "KEY"}, "expected MMHASH_ALGORITHM=blake3 or sha256"),
        ({"MMHASH_ALGORITHM": "blake3", "MMHASH_KEY_FILE": "/no/such"}, "No such file"),
    ],
)
def test_environment_that_stops_the_import(
    variables: dict[str, str], message: str, key_file: Path
) -> None:
    given = {name: str(key_file) if text == "KEY" else text for name, text in variables.items()}
    found, error = in_environment(**given)
    assert found == ""
    assert "ValueError: environment variable MMHASH_" in error
    assert message in error


# The package, and how it is called.


def algorithm_of(new_hash: Callable[..., Any]) -> _core.Algorithm:
    return _core.PackageAlgorithm(
        "test", key=None, key_id=None, new_hash=new_hash, new_parallel_hash=None, parallel_bytes=0
    )


def test_what_the_package_raises_reaches_the_caller() -> None:
    class Failing:
        def __init__(self, data: bytes = b"") -> None:
            pass

        def update(self, data: Any) -> None:
            raise OSError(f"{len(data)} bytes are too many")

        def digest(self) -> bytes:
            return b"short"

    failing = algorithm_of(Failing)
    with pytest.raises(RuntimeError, match=r"digest of 32 bytes .* 'test', found b'short'"):
        mmhash.identity(1, algorithm=failing)
    with pytest.raises(OSError, match="50000 bytes"):
        mmhash.identity(bytes(50_000), algorithm=failing)
    with pytest.raises(OSError, match="bytes are too many"):
        mmhash.identity(np.zeros((50_000, 2))[:, 0], algorithm=failing)


def test_a_view_that_the_package_keeps_is_dead() -> None:
    kept = []

    class Keeping:
        def __init__(self, data: bytes = b"") -> None:
            pass

        def update(self, data: Any) -> None:
            kept.append(data)

        def digest(self) -> bytes:
            return bytes(32)

    mmhash.identity(bytearray(50_000), algorithm=algorithm_of(Keeping))
    views = [each for each in kept if isinstance(each, memoryview)]
    assert views
    for view in views:
        with pytest.raises(ValueError, match="released"):
            view[0]


def test_a_child_that_was_forked_hashes_too() -> None:
    done = run_python(
        "import os, signal, mmhash\n"
        "data = bytes(20_000_000)\n"
        "mmhash.set_num_threads(2)\n"
        "before = mmhash.identity(data, algorithm='blake3')\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    signal.alarm(60)\n"
        "    os._exit(mmhash.identity(data, algorithm='blake3') != before)\n"
        "print(os.waitpid(pid, 0)[1])"
    )
    assert done.stdout == "0\n", done.stderr


def test_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmhash.algorithms.blake3 import functions

    class PanicException(BaseException):
        pass

    def no_threads(data: bytes = b"", /, *, max_threads: int = 1, **more: Any) -> Any:
        if max_threads > 1:
            raise PanicException
        return real(data, **more)

    real = blake3.blake3
    monkeypatch.setattr(blake3, "blake3", no_threads)
    for key in (None, KEY):
        new_hash, parallel = functions(key)
        assert parallel is not None
        assert parallel(2).digest() == new_hash().digest()
        by_package = functools.partial(real, b"", key=key)
        assert parallel(2).digest() == by_package().digest()
