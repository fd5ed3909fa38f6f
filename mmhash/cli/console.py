"""The two streams of the command, and a progress bar that stays out of their way.

The bar belongs to a thread of its own, because one large value can be one call that hashes it, and
rate and time left are to be redrawn meanwhile. The thread sleeps for the first second, so
quick work shows no bar and imports no tqdm. One lock keeps bar and lines from being written into
each other.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from mmhash.cli.checksum_lines import escape

DELAY_S = 1.0
REDRAW_S = 0.1


class OutputError(Exception):
    """The standard output does not take what is written: the pipe is closed, the disk is full."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause.strerror or str(cause))
        self.cause = cause


def write_stdout(text: str) -> None:
    """Write to the standard output as UTF-8, whatever the locale, and hand it on at once."""
    try:
        if sys.stdout is None:  # started with the stream closed: `mmhash ... >&-`
            raise OSError(0, "it is closed")
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputError(error) from error


def print_error(message: str) -> None:
    """Write one line to the standard error, headed by the command's name."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # there is nowhere left to report it
            print(f"mmhash: {message}", file=sys.stderr, flush=True)


class Console:
    """Writes lines and shows how far the work has come.

    total: the bytes there are to hash, as far as known before. A bar is drawn only where the
    standard error is a terminal and tqdm is installed.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0  # the bytes behind: what the bar shows
        self._position = 0  # of those, what is behind of earlier values
        self._end = 0  # of the present file
        self._label = ""
        self._bar: Any = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Console:
        if sys.stderr is not None and sys.stderr.isatty():
            self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def out(self, line: str) -> None:
        """Write a line to the standard output. OutputError: it cannot be written."""
        with self._bar_cleared():
            write_stdout(line + "\n")

    def error(self, message: str) -> None:
        """Write a line to the standard error, headed by the command's name."""
        with self._bar_cleared():
            print_error(message)

    def warn(self, message: str) -> None:
        """The same of what is no failure."""
        self.error(f"warning: {message}")

    def begin(self, path: str, done: int, size: int) -> None:
        """Say which file is read now, how many bytes are behind, and how many it has."""
        self._label, self._done = escape(path)[-24:], done
        self._position, self._end = done, done + size

    def advance(self, hashed: int) -> None:
        """Say how many bytes of the present value are hashed."""
        # Elements may take more room than the file (compression) or less (several views).
        self._done = min(self._position + hashed, max(self._end, self._position))

    def finish_value(self, nbytes: int) -> None:
        """Say that a value of so many bytes is behind."""
        self.advance(nbytes)
        self._position = self._done

    @contextlib.contextmanager
    def _bar_cleared(self) -> Iterator[None]:
        """Take the bar off the terminal while something else is written there."""
        with self._lock:
            if self._bar is not None:
                self._bar.clear()
            yield
            if self._bar is not None:
                self._bar.refresh()

    def _draw(self) -> None:
        if self._over.wait(DELAY_S):
            return
        try:
            tqdm = importlib.import_module("tqdm")
        except ImportError:
            return
        with self._lock:
            self._bar = tqdm.tqdm(
                total=self._total or None,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                leave=False,
                dynamic_ncols=True,
                file=sys.stderr,
            )
            self._bar.start_t -= DELAY_S  # rate and time left count from the start of the work
        while not self._over.wait(REDRAW_S):
            with self._lock:
                self._bar.n = self._done
                self._bar.set_description_str(self._label, refresh=False)
                self._bar.refresh()
        with self._lock:
            self._bar.close()
            self._bar = None
