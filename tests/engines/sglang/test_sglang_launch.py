"""`python -m mmhash.engines.sglang`: mmhash in the main process and in every spawned child."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sglang")

# In place of sglang.launch_server, which needs a model: as it does, it spawns, from a function
# that a child has to import. Everything else is as it is in a server.
CUSTOMIZE = """
import runpy

run_module = runpy.run_module

def run_instead(name, *args, **keywords):
    if name == "sglang.launch_server":
        assert keywords == {"run_name": "__main__"}, keywords
        import served_twice
        served_twice.main()
        return {}
    return run_module(name, *args, **keywords)

runpy.run_module = run_instead
"""
SPAWNING = """
import json, multiprocessing, sys

def report(where, folder):
    import mmhash
    found = mmhash.info()["engines"].get("sglang", {})
    with open(f"{folder}/{where}.json", "w") as file:
        json.dump([found, sys.argv[1:]], file)

def main():
    report("main", FOLDER)
    child = multiprocessing.get_context("spawn").Process(target=report, args=("child", FOLDER))
    child.start()
    child.join()
    assert child.exitcode == 0
"""


@pytest.mark.parametrize(("switch", "installed"), [("on", True), ("off", False)])
def test_main_process_and_children_have_it(tmp_path: Path, switch: str, installed: bool) -> None:
    (tmp_path / "mmhash_instead.py").write_text(CUSTOMIZE)
    (tmp_path / "served_twice.py").write_text(f"FOLDER = {str(tmp_path)!r}\n{SPAWNING}")
    start = "import mmhash_instead, runpy, sys; sys.argv = ['x', '--model-path', 'm']; "
    start += "runpy.run_module('mmhash.engines.sglang.__main__', run_name='__main__')"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", start],
        env={**os.environ, "PYTHONPATH": path, "MMHASH_ENGINES": switch},
        capture_output=True,
        text=True,
        timeout=600,  # two imports of SGLang take 20 s: this only ends what hangs
    )
    assert done.returncode == 0, done.stderr
    for where in ("main", "child"):
        found, arguments = json.loads((tmp_path / f"{where}.json").read_text())
        assert bool(found) is installed
        assert arguments == ["--model-path", "m"]
    lines = [line for line in done.stderr.splitlines() if "replaced mm_utils.hash_feature" in line]
    assert len(lines) == (2 if installed else 0)  # one line for each process
