"""Requests from a sender to real ranks, by SGLang's own transports: the same hashes everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("sglang")

import psutil
import served
import torch
import zmq

import mmhash
from mmhash.engines import sglang

HERE = Path(__file__).parent
RANKS = 2
ITEMS = 10  # of each of many requests


def phase(name: str, requests: int = 3, **options: bool) -> dict:
    given = {"pickled": False, "shared_memory": False, "broadcast": False, **options}
    return {"name": name, "requests": requests, **given}


PHASES = [
    phase("as sent by default", shared_memory=True),
    phase("inline"),
    phase("pickled", pickled=True),
    phase("broadcast", broadcast=True, shared_memory=True),
    phase("not hashed by the sender", shared_memory=True),
    phase("many", 1000, shared_memory=True),
    phase("many inline", 300),
]


NAMES = [each["name"] for each in PHASES]
FEW, MANY = NAMES[:-2], NAMES[-2:]


def given(name: str, number: int) -> list:
    if name in MANY:
        return [torch.arange(600.0) + number * ITEMS + item for item in range(ITEMS)]
    return served.features(number)


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict:
    """What the ranks saw, by phase; the sender's own under "sender"."""
    folder = tmp_path_factory.mktemp("ranks")
    processes = [
        subprocess.Popen([sys.executable, HERE / "rank.py", str(rank), str(RANKS), folder])
        for rank in range(RANKS)
    ]
    installation = sglang.install()
    socket = zmq.Context().socket(zmq.PUSH)
    socket.set_hwm(8)  # the sender waits for the ranks: what is on its way is no leak
    socket.connect(f"ipc://{folder}/requests")
    sent, memory = {}, {name: [] for name in NAMES}
    try:
        with pytest.MonkeyPatch.context() as patch:
            for each in PHASES:
                resolved = each["name"] != "not hashed by the sender"
                patch.setenv("SGLANG_MM_PRECOMPUTE_HASH", "0")
                if resolved:
                    patch.delenv("SGLANG_MM_PRECOMPUTE_HASH")
                served.configure(shared_memory=each["shared_memory"])
                socket.send_json(each)
                sent[each["name"]] = []
                for number in range(each["requests"]):
                    features = given(each["name"], number)
                    request = served.tokenize_now(served.build_items(features))
                    sent[each["name"]].append([served.hash_of(f) for f in features])
                    served.send(socket, request, pickled=each["pickled"])
                    if number % 20 == 19:
                        memory[each["name"]].append(psutil.Process().memory_info().rss)
        socket.send_json({"name": "end"})
        deadline = time.monotonic() + 600  # takes a minute: this only ends what hangs
        for process in processes:
            assert process.wait(max(1, deadline - time.monotonic())) == 0
    finally:
        for process in processes:
            process.kill()
        installation.uninstall()
        socket.close(0)
    found = {"sent": sent, "memory": memory}
    for rank in range(RANKS):
        for line in (folder / f"rank{rank}.jsonl").read_text().splitlines():
            report = json.loads(line)
            found.setdefault(report["phase"], []).append(report)
    assert found.keys() == {"sent", "memory", *NAMES}
    assert {name: len(found[name]) for name in NAMES} == dict.fromkeys(NAMES, RANKS)
    for each in PHASES:
        name = each["name"]
        assert len(sent[name]) == each["requests"]
        assert len(memory[name]) == each["requests"] // 20
        for report in found[name]:
            assert len(report["results"]) == (each["requests"] if name in FEW else 0)
            assert len(report["memory"]) == each["requests"] // 20
    return found


@pytest.mark.parametrize("name", FEW)
def test_all_ranks_have_the_senders_hashes(reports, name) -> None:
    for report in reports[name]:
        assert [result["hashes"] for result in report["results"]] == reports["sent"][name]
        assert report["results"] == reports[name][0]["results"]


@pytest.mark.skipif(not served.HAS_IDENTITIES, reason="items have 64 bits in this SGLang")
@pytest.mark.parametrize("name", FEW)
def test_all_ranks_have_whole_identities(reports, name) -> None:
    for report in reports[name]:
        for number, result in enumerate(report["results"]):
            expected = [mmhash.identity(f, algorithm="blake3").hex() for f in given(name, number)]
            assert result["identities"] == expected


@pytest.mark.parametrize("name", NAMES)
def test_ranks_hash_nothing_unless_the_sender_did_not(reports, name) -> None:
    for rank, report in enumerate(reports[name]):
        hashed = report["after"]["hashes"] - report["before"]["hashes"]
        assert hashed == (12 if name == "not hashed by the sender" else 0), (rank, report)


@pytest.mark.parametrize("name", FEW)
def test_padded_ids_hold_the_pad_values(reports, name) -> None:
    for report in reports[name]:
        for result in report["results"]:
            by_pairs = result["padded"][1]
            assert set(result["pad_values"]) <= set(by_pairs)
            assert served.IMAGE_TOKEN not in by_pairs
            assert len(by_pairs) == len(served.token_ids(4))


@pytest.mark.parametrize("name", FEW)
def test_features_are_released_and_hashes_stay(reports, name) -> None:
    for report in reports[name]:
        for result in report["results"]:
            assert result["released"]
            assert result["after_release"] == result["hashes"]


@pytest.mark.parametrize("name", MANY)
def test_memory_stays_flat(reports, name) -> None:
    """10,000 items and 3,000; the first third is for allocators to settle."""
    senders = reports["memory"][name]
    for memory in (senders, *(report["memory"] for report in reports[name])):
        settled = memory[len(memory) // 3 :]
        assert max(settled) - settled[0] < 8 << 20
