"""Telling an operator what was replaced, also before the engine has set up logging."""

from __future__ import annotations

import logging
import sys


def announce(logger: logging.Logger, level: int, line: str) -> None:
    """Logs a line, or writes it to stderr where no handler would show it yet."""
    if logger.hasHandlers():
        logger.log(level, "%s", line)
    else:
        print(f"{logging.getLevelName(level)} {logger.name}: {line}", file=sys.stderr, flush=True)
