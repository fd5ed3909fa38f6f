"""What the command says of a file it cannot use: one line, in words that help."""

from __future__ import annotations

import importlib
from types import ModuleType


class UnusableFileError(Exception):
    """A file that cannot be hashed, for the reason that its message gives."""


class UsageError(Exception):
    """What was asked for cannot be done, whatever the files: one line, and the status is 2."""


def require(module: str, purpose: str, install: str) -> ModuleType:
    """Import an optional package, or say what it is for and how to install it.

    >>> require("no_such_package", "to read .xyz files", "no-such-package")
    Traceback (most recent call last):
        ...
    mmhash.cli.errors.UnusableFileError: no_such_package is needed to read .xyz files, and it \
cannot be imported (No module named 'no_such_package'): pip install "no-such-package"
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UnusableFileError(
            f"{package} is needed {purpose}, and it cannot be imported ({reason(error)}): "
            f'pip install "{install}"'
        ) from error


def reason(error: BaseException) -> str:
    """The cause of an error in one line: the system's words for a system error, else its message.

    >>> reason(FileNotFoundError(2, "No such file or directory", "x.npy"))
    'No such file or directory'
    >>> reason(KeyError(101))
    'KeyError: 101'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "it does not fit in memory" + (f": {error}" if str(error) else "")
    message = " ".join(str(error).split())
    if message and isinstance(
        error, (OSError, TypeError, ValueError, ImportError, UnusableFileError)
    ):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
