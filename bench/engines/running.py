"""Lifecycle of a server process: it is started, waited for and ended."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

START_S = 240
END_S = 30
#: Of everything that is measured: nothing is fetched, and a process computes with one thread.
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@contextmanager
def server(
    command: Sequence[str], environment: Mapping[str, str], port: int, log: Path
) -> Iterator[None]:
    """Runs a server until the block ends. What it prints goes to the file `log`.

    RuntimeError, with the log's end, if it ends by itself or does not answer within START_S
    seconds; before it starts, if something else answers on that port.
    """
    if answers(port):
        raise RuntimeError(
            f"port {port}: expected it to be free, found a server that answers: end that first"
        )
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env=environment_of(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait(process, port, log)
            yield
        finally:
            end(process)


def environment_of(more: Mapping[str, str]) -> dict[str, str]:
    """The caller's, without what it says to engines and to mmhash, with ENVIRONMENT and more."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MMHASH_", "SGLANG_", "VLLM_"))}
    return {**own, **ENVIRONMENT, **more}


def wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        if answers(port):
            return
        time.sleep(0.5)
    what = "ended" if process.poll() is not None else f"did not answer in {START_S} s"
    raise RuntimeError(f"the server {what}. Its log ends with:\n{end_of(log)}")


def end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])


def lines_with(text: str, log: Path) -> list[str]:
    """RuntimeError, with the log's end, if there are none."""
    found = [line for line in log.read_text(errors="replace").splitlines() if text in line]
    if not found:
        raise RuntimeError(
            f"the log: expected lines with {text!r}, found none. It ends with:\n{end_of(log)}"
        )
    return found


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends the server and whatever it started: all of its session."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def metric(port: int, name: str) -> float:
    """A number among those that the server reports of itself. LookupError if it is not there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/metrics")
    for line in connection.getresponse().read().decode().splitlines():
        if line.partition("{")[0] == name:
            return float(line.rpartition(" ")[2])
    raise LookupError(f"metric {name}: expected it in /metrics, found no such line")
