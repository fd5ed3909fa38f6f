"""Which interpreters may import mmhash: the main one, once a process."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from subprocesses import IMPORT_PATH, python_output

IN_A_SUBINTERPRETER = """
import sys

mode, order = sys.argv[1:]
try:
    import _interpreters as interpreters  # 3.13 and newer
except ImportError:
    import _xxsubinterpreters as interpreters

def create():
    if sys.version_info >= (3, 13):
        return interpreters.create(mode)
    return interpreters.create(isolated=mode == "isolated")

def run(code):
    try:
        failure = interpreters.run_string(create(), code)  # 3.13 and newer return what was raised
    except interpreters.RunFailedError as error:
        failure = error
    return "" if failure is None else str(getattr(failure, "formatted", failure))

attempt = f"import sys; sys.path[:] = {sys.path!r}\\nimport mmhash"
if order == "first":
    failures = [run(attempt) for _ in range(3)]
import mmhash
expected = mmhash.identity({"a": [1]})
if order == "second":
    failures = [run(attempt) for _ in range(3)]
assert mmhash.identity({"a": [1]}) == expected
import types
assert mmhash.identity(types.MappingProxyType({"a": [1]})) == expected
for failure in failures:
    assert "ImportError" in failure, failure
    assert "mmhash cannot be imported in a subinterpreter" in failure, failure
    assert "ProcessPoolExecutor" in failure, failure
print("refused")
"""


@pytest.mark.parametrize("mode", ["isolated", "legacy"])
@pytest.mark.parametrize("order", ["first", "second"])
def test_a_subinterpreter_is_refused(mode: str, order: str) -> None:
    """Whether it has a GIL of its own or not, before and after the main interpreter imported it."""
    pytest.importorskip("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    assert python_output(IN_A_SUBINTERPRETER, mode, order, timeout=30) == "refused"


IMPORTED_AGAIN = """
import sys, mmhash
expected = mmhash.identity({"a": [1, b"y"]})
core = sys.modules["mmhash._core"]
for _ in range(3):
    for name in [name for name in sys.modules if name.startswith("mmhash")]:
        del sys.modules[name]
    import mmhash
    assert mmhash.identity({"a": [1, b"y"]}) == expected
    assert mmhash.identity_async([1]).result() == mmhash.identity([1])
    assert sys.modules["mmhash._core"] is core
"""


def test_it_can_be_imported_again() -> None:
    python_output(IMPORTED_AGAIN)


RETRIED = """
import os
os.environ["MMHASH_ISA"] = "mmx"
for _ in range(2):
    try:
        import mmhash
    except ValueError as error:
        assert "MMHASH_ISA" in str(error)
    else:
        raise AssertionError
del os.environ["MMHASH_ISA"]
import mmhash
print(mmhash.identity([1]).hex())
"""


def test_an_import_that_failed_can_be_tried_again() -> None:
    assert python_output(RETRIED) == "2e6bd2d4a8922ef4e9e1c19b6e5cda99"


EMBEDDED = r"""
#include <Python.h>

static int run(const char* code) {
  Py_Initialize();
  const int failed = PyRun_SimpleString(code);
  return failed || Py_FinalizeEx();
}

int main(int argc, char** argv) {
  const char* retry =
      "try:\n"
      "    import mmhash\n"
      "except ImportError as error:\n"
      "    assert 'after Py_Finalize' in str(error), error\n"
      "    print('refused')\n";
  if (run("import mmhash; print(mmhash.identity([1]).hex())")) return 1;
  if (run(retry) || run(retry)) return 2;
  return 0;
}
"""


def test_it_is_refused_in_the_next_life_of_an_embedded_interpreter(tmp_path: Path) -> None:
    """Py_Initialize() after Py_Finalize(): the objects in statics are those of the first life."""
    config, compiler = shutil.which(f"{sys.base_prefix}/bin/python3-config"), shutil.which("cc")
    if config is None or compiler is None:
        pytest.skip("embedding takes a C compiler and python3-config")
    flags = [
        flag
        for what in ("--cflags", "--ldflags")
        for flag in subprocess.run(
            [config, "--embed", what], capture_output=True, text=True, check=True
        ).stdout.split()
    ]
    source, program = tmp_path / "embed.c", tmp_path / "embed"
    source.write_text(EMBEDDED, encoding="utf-8")
    library = sysconfig.get_config_var("LIBDIR")
    done = subprocess.run(
        [compiler, source, "-o", program, *flags, f"-Wl,-rpath,{library}"], check=False
    )
    if done.returncode != 0:
        pytest.skip("this Python cannot be embedded")
    done = subprocess.run(
        [program],
        env={"PYTHONPATH": ":".join(IMPORT_PATH), "PYTHONHOME": sys.base_prefix},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2e6bd2d4a8922ef4e9e1c19b6e5cda99", "refused", "refused"]
