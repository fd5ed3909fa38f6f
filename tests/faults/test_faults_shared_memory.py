"""/dev/shm is full or absent: in a mount namespace of the process's own, so that none else sees it.

What uses it: `mmhash ranks`, and who hands features over by `mmhash.write()`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from subprocesses import IMPORT_PATH

pytest.importorskip("torch")
MIB = 1 << 20


def run_with(mount: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs Python after a mount command that only it sees."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare(1)")
    namespace = [unshare, "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*namespace, mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("this system lets nobody mount in a namespace of his own")
    return subprocess.run(
        [*namespace, f'{mount} && exec "$@"', "sh", sys.executable, *command],
        env={"PYTHONPATH": ":".join(IMPORT_PATH), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


SMALL = f"mount -t tmpfs -o size={MIB} small /dev/shm"
# A /dev of the two devices that Python and torch open.
ABSENT = """
mount -t tmpfs none /mnt && touch /mnt/null /mnt/urandom &&
mount --bind /dev/null /mnt/null && mount --bind /dev/urandom /mnt/urandom &&
mount --rbind /mnt /dev && ! test -e /dev/shm"""

FULL = """
import errno, os, sys, torch
from mmhash.demos.ranks.transport import SharedFeature

copy = sys.argv[1]
large, small = torch.zeros(4 << 20, dtype=torch.uint8), torch.ones(1 << 16, dtype=torch.uint8)
for i in range(3):
    try:
        SharedFeature(large, f"mmhash-large-{i}", copy)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
    else:
        raise AssertionError("expected OSError, found none")
    assert os.listdir("/dev/shm") == []
SharedFeature(small, "mmhash-small", copy)
with open("/dev/shm/mmhash-small", "rb") as file:
    assert file.read() == bytes([1]) * (1 << 16)
os.unlink("/dev/shm/mmhash-small")
"""


@pytest.mark.parametrize("copy", ["map", "write"])
def test_no_room_for_a_feature(copy: str) -> None:
    done = run_with(SMALL, "-c", FULL, copy)
    assert done.returncode == 0, done.stderr


WRITE = """
import errno, mmhash
data = bytes(4 << 20)
with open("/dev/shm/feature", "wb") as file:
    for algorithm in ("xxh3", "sha256"):
        try:
            mmhash.write(file.fileno(), data, algorithm=algorithm)
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
        else:
            raise AssertionError("expected OSError, found none")
    file.truncate(0)
    assert mmhash.write(file.fileno(), data[:1000]) == mmhash.identity(data[:1000])
"""


def test_no_room_for_what_is_handed_over() -> None:
    done = run_with(SMALL, "-c", WRITE)
    assert done.returncode == 0, done.stderr


def test_too_little_for_a_run() -> None:
    done = run_with(SMALL, "-m", "mmhash", "ranks")
    assert done.returncode == 2
    assert "MB of shared memory, found 1 MB free in /dev/shm: lower --in-flight" in done.stderr
    assert "--transport pickle" in done.stderr


FILLING = """
import sys
from mmhash.demos.ranks import transport
transport.free_bytes = lambda: None  # another process takes it once the run has looked
from mmhash.cli import main
sys.exit(main(["ranks", "--requests", "4", "--rounds", "1", "--image-size", "560x560"]))
"""


@pytest.mark.parametrize(("mount", "reason"), [(SMALL, "No space left"), (ABSENT, "No such file")])
def test_a_run_that_finds_no_room_says_so_and_ends(mount: str, reason: str) -> None:
    done = run_with(mount, "-c", FILLING)
    assert done.returncode not in (0, -6, -7, -11), done.stdout
    assert reason in done.stderr, done.stderr


NO_SHARED_MEMORY = """
import mmhash
data = bytes(8 << 20)
mmhash.set_num_threads(4)
item = mmhash.MultimodalDataItem(modality="IMAGE", feature=data)
with mmhash.HashExecutor() as executor:
    assert executor.submit(1, item).result() == [mmhash.hash_feature(data)]
"""


def test_hashing_needs_none() -> None:
    done = run_with(ABSENT, "-c", NO_SHARED_MEMORY)
    assert done.returncode == 0, done.stderr
