"""Whether the processes of one server hash alike: each compares itself with the one it came from.

Engines start their ranks as children, which inherit the environment. So a process that has mmhash
in force says there what it hashes with, and one that finds another in its place reports both when
it starts. Ranks that disagree about a hash wait for each other for ever
(https://github.com/sgl-project/sglang/issues/40247). Nodes cannot be compared in this way: their
logs can.
"""

from __future__ import annotations

import os

from mmhash._version import __version__


def variable_of(engine: str) -> str:
    """The environment variable in which a process tells its children."""
    return f"MMHASH_{engine.upper()}_IN_FORCE"


def announce(engine: str, what: str) -> str | None:
    """Tells processes that this one will start, and returns what is wrong with where it came from.

    `what` is the algorithm with the key's id. None if all is well, or nothing is known.
    """
    mine = f"{what}, mmhash {__version__}"
    told = os.environ.get(variable_of(engine), "")
    os.environ[variable_of(engine)] = f"{os.getpid()}: {mine}"
    process, _, theirs = told.partition(": ")
    if theirs in ("", mine) or process == str(os.getpid()):
        return None
    return (
        f"this process ({os.getpid()}) hashes with {mine}, and process {process}, from which it "
        f"comes, with {theirs}: ranks that disagree about a hash wait for each other for ever. Set "
        "algorithm and key by environment variables, so that all processes have the same"
    )


def withdraw(engine: str) -> None:
    """Takes back what announce() told, if it was this process that did so last."""
    if os.environ.get(variable_of(engine), "").startswith(f"{os.getpid()}: "):
        del os.environ[variable_of(engine)]
