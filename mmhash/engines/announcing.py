"""Telling an operator what was replaced, also before the engine has set up logging."""

from __future__ import annotations

import logging
import sys


def announce(logger: logging.Logger, level: int, line: str) -> None:
    """Logs a line, or writes it to stderr where the log would not show it.

    Plugins are loaded before servers apply their log level: until then there is no handler, or one
    that some package has added for warnings.
    """
    if logger.hasHandlers() and logger.isEnabledFor(level):
        logger.log(level, "%s", line)
    else:
        print(f"{logging.getLevelName(level)} {logger.name}: {line}", file=sys.stderr, flush=True)
