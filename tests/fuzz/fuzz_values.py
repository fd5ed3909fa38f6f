"""Hands values.py to atheris: libFuzzer, guided by the lines of Python that an input reaches."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(
    include=["arrays", "drawing", "images", "recipes", "reference", "refusals", "values"]
):
    import values

atheris.Setup(sys.argv, values.check)
atheris.Fuzz()
