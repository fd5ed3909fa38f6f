"""The check of layers that CI runs: what is allowed passes, and nothing else does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parent.parent / ".ci" / "check_layers.py"

pytestmark = pytest.mark.skipif(not CHECK.exists(), reason="these tests lie outside of a clone")


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", str(CHECK), str(root)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Sources with all that is allowed, in which a test plants what is not."""
    write(
        tmp_path,
        {
            "CMakeLists.txt": "configure_file(csrc/made.h.in generated/made.h @ONLY)",
            "csrc/module.cpp": '#include "values/walk.h"\n#include "algorithms/xxh3/dispatch.h"',
            "csrc/values/walk.h": '#include <vector>\n#include "cache/cache.h"',
            "csrc/cache/cache.h": '#include "made.h"\n// #include "values/walk.h"',
            "csrc/algorithms/xxh3/dispatch.h": '#include "kernel.h"',
            "csrc/algorithms/xxh3/kernel.h": "",
            "mmhash/__init__.py": "from .high.user import use\n_LATER = {'late': 'high.user'}",
            "mmhash/__main__.py": "import mmhash.high.user",
            "mmhash/base.py": "import mmhash",
            "mmhash/low/__init__.py": "",
            "mmhash/low/used.py": "from mmhash import base, nothing\nfrom . import other",
            "mmhash/low/other.py": "from mmhash.low import used",
            "mmhash/high/__init__.py": "from mmhash.high.user import use",
            "mmhash/high/user.py": "from mmhash.low.used import base\nfrom .. import low",
        },
    )
    return tmp_path


def test_what_is_allowed(tree: Path) -> None:
    done = check(tree)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("folder", ["csrc", "mmhash"])
def test_a_folder_without_files(tree: Path, folder: str) -> None:
    """A check that finds nothing to check has failed."""
    shutil.rmtree(tree / folder)
    done = check(tree)
    assert done.returncode == 1
    assert f"{tree / folder}: expected " in done.stderr


INCLUDES = {
    "upwards": (
        {"identity/low.h": '#include "values/high.h"', "values/high.h": ""},
        "csrc/identity/low.h: includes values/high.h, but values is above identity",
    ),
    "upwards, in angle brackets": (
        {"intake/low.h": "#  include <module_high.h>", "module_high.h": ""},
        "csrc/intake/low.h: includes module_high.h, but module is above intake",
    ),
    "upwards, from a folder within": (
        {"devices/cuda/low.cpp": '#include "../../values/high.h"', "values/high.h": ""},
        "csrc/devices/cuda/low.cpp: includes values/high.h, but values is above devices",
    ),
    "sideways": (
        {"cache/one.h": '#include "devices/other.h"', "devices/other.h": ""},
        "csrc/cache/one.h: includes devices/other.h, but cache and devices stand side by side",
    ),
    "from one algorithm to another": (
        {"algorithms/one/a.h": '#include "algorithms/two/b.h"', "algorithms/two/b.h": ""},
        "csrc/algorithms/one/a.h: includes algorithms/two/b.h, "
        "but algorithms/one and algorithms/two stand side by side",
    ),
    "a cycle in one room": (
        {"identity/a.h": '#include "b.h"', "identity/b.h": '#include "identity/a.h"'},
        "csrc: include cycle: identity/",
    ),
    "what is not there": (
        {"identity/a.h": '#include "gone.h"'},
        'csrc/identity/a.h: includes "gone.h", which is not under csrc/',
    ),
    "a file without a room": (
        {"misc/stray.h": ""},
        "csrc/misc/stray.h: in no room; expected one of module, values, cache",
    ),
}


@pytest.mark.parametrize("kind", INCLUDES)
def test_a_planted_include(tree: Path, kind: str) -> None:
    files, message = INCLUDES[kind]
    write(tree / "csrc", files)
    done = check(tree)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(message)


IMPORTS = {
    "absolute": "from mmhash.high.user import use",
    "of the package": "import mmhash.high",
    "relative": "from ..high import user",
    "in a function": "def later():\n    import mmhash.high.user",
    "of what mmhash hands out": "from mmhash import use",
    "of what mmhash hands out later": "from mmhash import late",
    "where types are not checked": "if TYPE_CHECKING:\n    pass\nelse:\n    import mmhash.high",
}


@pytest.mark.parametrize("kind", IMPORTS)
def test_a_planted_import(tree: Path, kind: str) -> None:
    write(tree, {"mmhash/low/planted.py": IMPORTS[kind]})
    done = check(tree)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("mmhash: import cycle of packages: ")
    assert "mmhash.low.planted imports mmhash.high" in line
    assert "mmhash.high.user imports mmhash.low" in line


def test_imports_for_types_only_do_not_count(tree: Path) -> None:
    planted = "import typing\nif typing.TYPE_CHECKING:\n    from mmhash.high.user import use"
    write(tree, {"mmhash/low/planted.py": planted})
    assert check(tree).returncode == 0
