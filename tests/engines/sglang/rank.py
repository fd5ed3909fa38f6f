"""A scheduler rank: receives requests and writes down what it sees. Run by test_sglang_ranks.py.

python rank.py RANK WORLD FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import served
import torch.distributed as dist
import zmq
from sglang.srt.managers.scheduler import Scheduler
from sglang.srt.utils import broadcast_pyobj

import mmhash
from mmhash.engines import sglang

rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])


def counts() -> dict:
    return dict(mmhash.info()["engines"]["sglang"])


def build(request, broadcast: bool):
    if not broadcast:
        return served.inputs_of(request.mm_inputs)
    scheduler = SimpleNamespace(
        is_entry_rank=rank == 0,
        cpu_group=dist.group.WORLD,
        dp_tp_cpu_group=dist.group.WORLD,
        dp_tp_group=SimpleNamespace(rank_in_group=rank, first_rank=0),
        model_config=SimpleNamespace(requires_mm_token_modalities=False),
    )
    return Scheduler._process_and_broadcast_mm_inputs(scheduler, request.mm_inputs)


def seen(inputs) -> dict:
    found = {
        "padded": served.padded(inputs),
        "pad_values": [item.pad_value for item in inputs.mm_items],
        "hashes": [item.hash for item in inputs.mm_items],
    }
    if served.HAS_IDENTITIES:
        found["identities"] = [item.identity.hex() for item in inputs.mm_items]
    served.release(inputs)
    found["after_release"] = [item.hash for item in inputs.mm_items]
    found["released"] = all(item.feature is None for item in inputs.mm_items)
    return found


def main() -> None:
    sglang.install()
    meeting = f"file://{folder}/gloo"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    socket = zmq.Context().socket(zmq.PULL)
    socket.set_hwm(8)
    if rank == 0:
        socket.bind(f"ipc://{folder}/requests")
    process = psutil.Process()
    while True:
        phase = [socket.recv_json()] if rank == 0 else []
        (phase,) = broadcast_pyobj(phase, rank, dist.group.WORLD, src=0)
        if phase["name"] == "end":
            break
        served.configure(shared_memory=phase["shared_memory"])
        before, memory, results = counts(), [], []
        for number in range(phase["requests"]):
            received = [served.receive(socket, pickled=phase["pickled"])] if rank == 0 else []
            (request,) = broadcast_pyobj(received, rank, dist.group.WORLD, src=0)
            dist.barrier()
            served.materialize(request)
            result = seen(build(request, phase["broadcast"]))
            if phase["requests"] <= 50:  # of many, memory alone is looked at
                results.append(result)
            if number % 20 == 19:
                memory.append(process.memory_info().rss)
        report = {
            "phase": phase["name"],
            "before": before,
            "after": counts(),
            "memory": memory,
            "results": results,
        }
        with (folder / f"rank{rank}.jsonl").open("a") as file:
            file.write(json.dumps(report) + "\n")
    dist.destroy_process_group()


main()
