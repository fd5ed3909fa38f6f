"""Makes `vectors-algorithms.json`: the cases of `vectors.json` by BLAKE3 and SHA-256.

With and without a key, by `reference.py`, so this needs no mmhash. The file is frozen: this says
how it came about, and `--check` that it is still what it was.

    python tests/make_vectors.py [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import reference
import vectors

PATH = Path(__file__).parent / "vectors-algorithms.json"


def digests(case: vectors.Case) -> dict[str, str]:
    """The four digests of a case, by their fields."""
    value = vectors.as_value(case)
    return {
        field: reference.identity(value, name, key).hex()
        for field, (name, key) in vectors.DIGESTS.items()
    }


def text() -> str:
    """The whole file: one case a line, in the order of `vectors.json`."""
    lines = []
    for case in vectors.CASES:
        described = {name: value for name, value in case.fields.items() if name != "identity"}
        lines.append(json.dumps(described | digests(case)))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def main() -> int:
    """Write the file, or compare it. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    made = text()
    if not parser.parse_args().check:
        PATH.write_text(made, encoding="utf-8")
        return 0
    if PATH.read_text(encoding="utf-8") == made:
        return 0
    print(f"{PATH.name}: expected what this script makes, found other text", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
