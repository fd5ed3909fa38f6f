"""What every child process does around its work: report how it ends, and never outlive the parent.

The parent may be killed without a chance to end its children. So each of them has a thread that
waits for the end of a pipe, whose other end only the parent holds and the system closes with it.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mmhash.demos.ranks.messages import Done, Failed

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mmhash.demos.ranks.run_resources import RunResources

FAILED = 1  # exit status


def main(
    work: Callable[..., None],
    arguments: tuple[Any, ...],
    reports: Connection,
    lifeline: Connection,
    resources: RunResources,
) -> None:
    """Call `work(*arguments, report)`, and tell the parent that it is done, or why it is not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, args=(lifeline, resources), daemon=True).start()
    try:
        importlib.import_module("torch")
        # Else the collector would walk through all of torch now and then, in some request or other.
        gc.freeze()
        work(*arguments, reports.send)
    except BaseException:
        reports.send(Failed(time.monotonic_ns(), traceback.format_exc()))
        # Not an ordinary exit: it would wait for threads, and gloo's may wait for other ranks.
        sys.stderr.flush()
        os._exit(FAILED)
    reports.send(Done())


def _follow_parent(lifeline: Connection, resources: RunResources) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        resources.remove()
    finally:
        os._exit(FAILED)
