"""Nonsense in each environment variable that mmhash reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from subprocesses import python_output

import mmhash

# What reads each of them, besides the values that are fine; and what its message must offer.
IMPORT = "import mmhash"
ENGINES = "from mmhash.engines.adapter import enabled; enabled()"
# What plugins ask before they look for their engine; whatever is wrong then ends the server.
VLLM = "from mmhash.engines.vllm.engine import _adapter; _adapter.is_wanted()"
SGLANG = "from mmhash.engines.sglang.engine import is_wanted; is_wanted()"
NUMBERS = ("0", "1", "7", " 3 ", "1_0", "\u0663")  # of which int() makes some
READS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "MMHASH_ISA": (IMPORT, (), "scalar"),
    "MMHASH_NUM_THREADS": (IMPORT, NUMBERS[1:], "from 1 to 256"),
    "MMHASH_CACHE_SIZE": (IMPORT, (*NUMBERS, "257"), "from 0"),
    "MMHASH_ALGORITHM": (IMPORT, (), "'sha256'"),
    "MMHASH_KEY_FILE": (IMPORT, (), ""),
    "MMHASH_ENGINES": (ENGINES, ("ON", "Off"), "on or off"),
    "MMHASH_VLLM_ALGORITHM": (VLLM, (), "xxh3"),
    "MMHASH_SGLANG_ALGORITHM": (SGLANG, (), "xxh3"),
    "MMHASH_SGLANG_HANDOVER": (SGLANG, ("ON", "Off"), "on or off"),
}
NONSENSE = (
    *NUMBERS,
    *(
        "-1",
        "257",
        "1.5",
        "1e3",
        "0x10",
        "NaN",
        "None",
        "true",
        "2" * 19,
        "9" * 5000,
        "-" + "9" * 5000,
    ),
    *(" ", "\t\n", "a" * 100_000, "%s%n", "'\"\\", "\x01\x7f\x1b[2J", "\xe9\u4e2d\U0001f600"),
    *(
        "\udcff\udcfe",
        "xxh3\udc80",
        "/",
        "/dev/zero",
        "/proc/self/mem",
        "/no/such/file",
        "ON",
        "Off",
    ),
)

# Each in a child of its own, that imports mmhash anew.
CHILDREN = """
import json, os, sys, traceback

with open(sys.argv[1]) as file:
    code, name, others, values = json.load(file)
for value in values:
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            os.environ.update(others)
            os.environ[name] = value
            exec(code)
        except BaseException as error:
            found = [type(error).__name__, str(error)]
        else:
            found = None
        with os.fdopen(writer, "w") as pipe:
            json.dump(found, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    print(text or '["ended", "without a word"]')
    os.wait()
"""


def outcomes(
    folder: Path, name: str, values: tuple[str, ...], **others: str
) -> dict[str, tuple[str, str] | None]:
    """What importing with each of the values raises, if anything."""
    asked = folder / "asked.json"
    asked.write_text(json.dumps([READS[name][0], name, others, values]))
    printed = [json.loads(line) for line in python_output(CHILDREN, asked).splitlines()]
    return dict(zip(values, printed, strict=True))


def assert_refused(name: str, value: str, raised: tuple[str, str] | None, valid: str) -> None:
    """An error that says which variable, what it holds and what is valid."""
    assert raised is not None, f"{name}={value!r:.50} was accepted"
    kind, message = raised
    in_server = READS[name][0] in (VLLM, SGLANG)
    expected = "SystemExit" if in_server else "ValueError"
    assert kind == expected, f"{name}={value!r:.50}: {kind}: {message}"
    begin = r"mmhash in (vLLM|SGLang): " if in_server else ""
    assert re.match(begin + "environment variable ", message)
    assert name in message
    assert repr(value) in message or value in message
    assert valid in message


@pytest.mark.parametrize("name", READS)
def test_nonsense_in_a_variable(name: str, tmp_path: Path) -> None:
    _, fine, valid = READS[name]
    others = {"MMHASH_ALGORITHM": "sha256"} if name == "MMHASH_KEY_FILE" else {}
    for value, raised in outcomes(tmp_path, name, NONSENSE, **others).items():
        if value in fine:
            assert raised is None, f"{value!r}: {raised}"
        else:
            assert_refused(name, value, raised, valid)


@pytest.mark.parametrize("name", READS)
def test_an_empty_variable_is_as_none(name: str, tmp_path: Path) -> None:
    assert outcomes(tmp_path, name, ("",)) == {"": None}


def test_these_are_all_of_them() -> None:
    package = Path(mmhash.__file__).parent
    sources = [path.read_text() for path in package.rglob("*.py")]
    found = {name for text in sources for name in re.findall(r"MMHASH_[A-Z_]*[A-Z]", text)}
    assert found == set(READS)
    native = [*package.parent.glob("csrc/**/*.cpp"), *package.parent.glob("csrc/**/*.c")]
    assert not [path for path in native if "getenv" in path.read_text()]
