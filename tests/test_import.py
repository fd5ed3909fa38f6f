"""What importing costs and brings along, and what the package says of itself."""

from __future__ import annotations

import ast
import doctest
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from subprocesses import python_output, run_python

import mmhash
from mmhash import _core

PACKAGE = Path(mmhash.__file__).parent
NATIVE = Path(_core.__file__)
API = {
    "get_num_threads",
    "hash_feature",
    "identity",
    "info",
    "set_num_threads",
    "xxh3_64",
    "xxh3_128",
}


def test_items_are_imported_when_they_are_asked_for() -> None:
    code = """
import sys, mmhash
before = {"asyncio", "dataclasses", "concurrent.futures"} & set(sys.modules)
from mmhash import *
print(sorted(before), "asyncio" in sys.modules, HashExecutor.__module__, LazyHash.__module__)
print(all(hasattr(mmhash, name) for name in dir(mmhash)), hasattr(mmhash, "nothing"))
"""
    assert python_output(code).splitlines() == [
        "[] True mmhash.executor mmhash.lazy",
        "True False",
    ]


def test_it_imports_no_framework() -> None:
    code = "import sys, mmhash; print(*sorted(m.partition('.')[0] for m in sys.modules))"
    imported = set(python_output(code).split())
    assert "mmhash" in imported
    assert not imported & {"torch", "numpy", "PIL", "xxhash", "tqdm", "ml_dtypes", "safetensors"}


def test_hashing_imports_no_framework() -> None:
    """A value cannot be of a library that nobody has imported."""
    code = """
import sys, mmhash
mmhash.identity({"a": [1, 2.5, "x", b"y", None, 3j, memoryview(b"z"), 2**99, "\\ud800"]})
mmhash.xxh3_128(bytearray(1 << 22))
mmhash.info()
print(*sorted({"torch", "numpy", "PIL"} & set(sys.modules)), sep=",")
"""
    assert python_output(code) == ""


def test_it_takes_less_than_50_ms() -> None:
    """Of CPU; best of seven, since other work on the machine only adds to it."""
    code = """
import time
start = time.process_time()
import mmhash
print(1000 * (time.process_time() - start))
"""
    times = sorted(float(python_output(code)) for _ in range(7))
    assert times[0] < 50, times
    assert times[3] < 100, times


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with the package as it stands in a clone in which nothing was built."""
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "clone" / "mmhash", ignore=ignored)
    return tmp_path / "clone"


def in_folder(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Python as it is started there, whose own folder comes first: `-c` and `-m`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["PYTHONPATH"] = str(PACKAGE.parent)  # where the built one would be found
    # -S: an editable installation would find the module for every copy of the sources.
    return subprocess.run(
        [sys.executable, "-S", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", [("-c", "import mmhash"), ("-m", "mmhash", "info")])
def test_sources_that_hide_the_installed_package(sources: Path, command: tuple[str, ...]) -> None:
    done = in_folder(sources, *command)
    assert done.returncode == 1
    assert f"mmhash in {sources / 'mmhash'} has no module _core" in done.stderr
    assert "run Python from another folder" in done.stderr
    assert "`pip install -e .`" in done.stderr
    assert "partially initialized" not in done.stderr
    assert "During handling" not in done.stderr
    assert in_folder(sources.parent, *command).returncode == 0  # from another folder, as it says


def test_a_module_that_cannot_be_loaded_says_so_itself(sources: Path) -> None:
    """A library that is missing or broken is no reason to talk of clones."""
    (sources / "mmhash" / NATIVE.name).write_bytes(b"not a library")
    done = in_folder(sources, "-c", "import mmhash")
    assert done.returncode == 1
    assert NATIVE.name in done.stderr.splitlines()[-1]
    assert "clone" not in done.stderr.splitlines()[-1].replace(str(sources), "")


def test_public_names() -> None:
    """`__all__` is all there is but modules, and none of it is missing."""
    assert API | {"__version__"} <= set(mmhash.__all__)
    for name in mmhash.__all__:
        getattr(mmhash, name)  # some are imported only now
    public = {name for name in vars(mmhash) if not name.startswith("_")}
    modules = {name for name in public if inspect.ismodule(getattr(mmhash, name))}
    assert public - modules == set(mmhash.__all__) - {"__version__"}
    assert mmhash.__version__ == mmhash.info()["version"]


@pytest.mark.parametrize("name", sorted(API))
def test_documentation(name: str) -> None:
    """A summary line, an example, and for what can fail an example that does."""
    function = getattr(mmhash, name)
    text = inspect.getdoc(function)
    assert text is not None
    summary, blank, *_ = text.splitlines()
    assert summary.endswith(".")
    assert blank == ""
    examples = doctest.DocTestParser().get_examples(text)
    assert examples
    if name not in ("get_num_threads", "info"):
        assert "Raises" in text or "errors are those of" in " ".join(text.split())
        assert any(example.exc_msg for example in examples)


SIGNATURES: dict[str, tuple[list[str], int | None]] = {
    "identity": (["value"], None),
    "hash_feature": (["feature"], None),
    "identity_async": (["value"], None),
    "write": (["fd", "value"], None),
    "copy": (["destination", "source"], None),
    "xxh3_64": (["data"], 0),
    "xxh3_128": (["data"], 0),
    "set_num_threads": (["n"], None),
    "get_num_threads": ([], None),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    """Data positional only; options keyword only, each with a default."""
    parameters = inspect.signature(getattr(mmhash, name)).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
    options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert len(positional) + len(options) == len(parameters)
    assert (positional, options.get("seed")) == SIGNATURES[name]
    assert all(default is not inspect.Parameter.empty for default in options.values())


def test_typed_stub() -> None:
    """The stub names what the native module has, no more and no less, with types throughout."""
    assert (PACKAGE / "py.typed").exists()
    stub = ast.parse((PACKAGE / "_core.pyi").read_text(encoding="utf-8"))
    functions = {node.name: node for node in stub.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name for node in stub.body if isinstance(node, ast.ClassDef)}
    constants = {ast.unparse(node.target) for node in stub.body if isinstance(node, ast.AnnAssign)}
    named = {n for n in functions.keys() | classes | constants if not n.startswith("_")}
    assert named == {name for name in dir(_core) if not name.startswith("_")}
    assert {name for name in mmhash.__all__ if hasattr(_core, name)} <= named
    for function in functions.values():
        assert function.returns is not None, function.name
        arguments = function.args
        for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs:
            assert argument.annotation is not None, (function.name, argument.arg)
    for name in SIGNATURES:
        arguments = functions[name].args
        documented = inspect.signature(getattr(mmhash, name)).parameters.values()
        names = [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
        assert names == [p.name for p in documented]


def test_info() -> None:
    info = mmhash.info()
    assert set(info) >= {
        "version",
        "isa",
        "isa_available",
        "num_threads",
        "xxhash",
        "tensor_intake",
        "gil_release_bytes",
        "parallel_bytes",
    }
    available = info["isa_available"]
    assert isinstance(available, list)
    assert info["isa"] in available
    assert "scalar" in available
    assert info["isa"] == _core.isa()
    assert info["num_threads"] == mmhash.get_num_threads()
    assert isinstance(info["xxhash"], str)
    assert tuple(map(int, info["xxhash"].split("."))) >= (0, 8, 0)
    assert info["gil_release_bytes"] <= info["parallel_bytes"]  # type: ignore[operator]
    info["isa"] = "changed"
    available.append("changed")
    assert mmhash.info()["isa"] != "changed"
    assert mmhash.info()["isa_available"] != available


def test_the_best_isa_is_the_default() -> None:
    isa, best = python_output(
        "import mmhash; i = mmhash.info(); print(i['isa'], i['isa_available'][0])"
    ).split()
    assert isa == best


def run_tool(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run([*command], capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="nm and readelf of an ELF file")
def test_only_the_init_function_is_exported() -> None:
    """Nothing of xxHash or of mmhash can collide with another library's symbols."""
    lines = run_tool("nm", "-D", "--defined-only", str(NATIVE)).split("\n")
    assert [line.split()[-1] for line in lines if line] == ["PyInit__core"]


@pytest.mark.skipif(sys.platform != "linux", reason="nm and readelf of an ELF file")
def test_it_links_nothing_but_the_system() -> None:
    lines = run_tool("readelf", "-d", str(NATIVE)).split("\n")
    needed = {line.partition("[")[2].rstrip("]") for line in lines if "(NEEDED)" in line}
    runtime = {"libstdc++.so.6", "libgcc_s.so.1", "libc.so.6", "libm.so.6", "libpthread.so.0"}
    assert {name for name in needed if not name.startswith("ld-linux")} <= runtime
    assert "libc.so.6" in needed
    assert "RPATH" not in "".join(lines)
    assert "RUNPATH" not in "".join(lines)


VARIABLES = "import mmhash; print(mmhash.info()['isa'], mmhash.get_num_threads())"


def test_environment_variables() -> None:
    for isa in mmhash.info()["isa_available"]:  # type: ignore[attr-defined]
        assert python_output(VARIABLES, MMHASH_ISA=isa).split()[0] == isa
    for threads in ("1", "3", "256"):
        assert python_output(VARIABLES, MMHASH_NUM_THREADS=threads).split()[1] == threads
    assert python_output(VARIABLES, MMHASH_ISA="", MMHASH_NUM_THREADS="") == python_output(
        VARIABLES
    )


def test_default_number_of_threads() -> None:
    """The CPUs that the process may use, not those of the machine; at most four."""
    code = f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); {VARIABLES}"
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity")
    assert python_output(code).split()[1] == "1"
    assert 1 <= int(python_output(VARIABLES).split()[1]) <= 4


@pytest.mark.parametrize(
    "value", ["mmx", "AVX2", " avx2", "avx2,sse2", "best", "neon,", "\udcff\udcfe", "avx2\udcff"]
)
def test_unknown_isa_in_the_environment(value: str) -> None:
    done = run_python("import mmhash", MMHASH_ISA=value)
    assert done.returncode == 1
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("ValueError:")
    assert "MMHASH_ISA" in error
    assert repr(value) in error
    for isa in mmhash.info()["isa_available"]:  # type: ignore[attr-defined]
        assert isa in error


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("set_isa", ()),
        ("set_tensor_intake", ()),
        ("set_device_path", ()),
        ("identity_from_pieces", ((1,), [b"a"])),
    ],
)
def test_names_of_no_table(function: str, arguments: tuple[Any, ...]) -> None:
    """A str that UTF-8 cannot hold, or with a NUL in it, is one more unknown name."""
    call: Any = getattr(_core, function)
    for name, spelled in [("\ud800x", r"'\\ud800x'"), ("a\0b", r"'a\\x00b'"), ("", "''")]:
        with pytest.raises(ValueError, match=spelled):
            call(name, *arguments)
    for other in (b"avx2", None, 3):
        with pytest.raises(TypeError, match=rf"name of an?.* as a str.*{type(other).__name__}"):
            call(other, *arguments)


def test_isa_that_this_cpu_lacks() -> None:
    known = {"scalar", "sse2", "avx2", "avx512", "neon"}
    missing = sorted(known - set(mmhash.info()["isa_available"]))  # type: ignore[call-overload]
    assert missing, "x86 has no NEON, and Arm no AVX"
    before = _core.isa()
    for isa in missing:
        with pytest.raises(ValueError, match=rf"{isa}.*scalar"):
            _core.set_isa(isa)
        done = run_python("import mmhash", MMHASH_ISA=isa)
        assert done.returncode == 1
        assert "ValueError: environment variable MMHASH_ISA" in done.stderr
    assert _core.isa() == before


@pytest.mark.parametrize(
    "value", ["0", "-1", "257", "two", "1.5", "1e1", "99999999999999999999", "\udcff", "2\udcff"]
)
def test_bad_number_of_threads_in_the_environment(value: str) -> None:
    done = run_python("import mmhash", MMHASH_NUM_THREADS=value)
    assert done.returncode == 1
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("ValueError:")
    assert "MMHASH_NUM_THREADS" in error
    assert repr(value) in error
    assert "1 to 256" in error
