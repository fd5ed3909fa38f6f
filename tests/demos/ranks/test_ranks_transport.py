"""Features in shared memory, however they get there: their contents, and where asked their hash."""

from __future__ import annotations

import os
import pickle

import pytest

import mmhash
from mmhash.demos.ranks import transport

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("folder", [True, False], ids=["/dev/shm", "no folder"])
@pytest.mark.parametrize("copy", ["map", "write", "hash"])
def test_what_is_put_in_is_taken_out(
    copy: str, folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if folder and not transport.HAS_SHM_FOLDER:
        pytest.skip("this system shows no segments as files")
    monkeypatch.setattr(transport, "HAS_SHM_FOLDER", folder)
    tensor = torch.rand(3, 1234)
    sent = transport.SharedFeature(tensor, f"mmhash-test-{os.getpid()}", copy)
    assert sent.identity == (mmhash.identity(tensor) if copy == "hash" else None)
    taken = pickle.loads(pickle.dumps(sent)).take(clone=not folder)
    assert torch.equal(taken, tensor)


def test_no_segment_is_left_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """That there is none is seen by `nothing_left`."""

    def full(*_: object) -> bytes:
        raise OSError("no room")

    monkeypatch.setattr(mmhash, "write" if transport.HAS_SHM_FOLDER else "copy", full)
    with pytest.raises(OSError, match="no room"):
        transport.SharedFeature(torch.rand(9), f"mmhash-test-{os.getpid()}", "hash")
