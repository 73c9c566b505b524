"""DistributedSampler under torchrun: are the shards disjoint and complete, and does the order change with the epoch?

Run as a job, this starts `torchrun` with gloo on this machine; run as a program by torchrun, it is one rank, which
delivers two epochs and gathers the indices. A workload that brings its own DistributedSampler is used as it is, with
its own `set_epoch` or without, so that a missing call shows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lossimpl.loading.bench import Bench
from lossimpl.loading.diagnosis.advice import Diagnosis, diagnose
from lossimpl.loading.harness.job import Events
from lossimpl.loading.settings import Settings

EPOCHS, WORLD = 2, 2
SECONDS = 15.0  # for torchrun and its ranks to import torch
CURE = "use DistributedSampler and call its set_epoch before each epoch"


def measure(bench: Bench) -> dict[str, Any]:
    """The line of DistributedSampler over `WORLD` processes under torchrun."""
    outcome = bench.job(f"{__name__}:{launch.__name__}", Settings(), SECONDS)
    found, fault = outcome.first("shards"), diagnose(outcome)
    if found and found["fault"]:
        fault = Diagnosis("wrong-data", found["fault"], CURE)
    line = {"kind": "distributed", "dataset": bench.dataset, "world": WORLD}
    line |= {"sizes": found and found["sizes"], "shares": found and found["shares"]}
    return {**line, "status": fault.status, "reason": fault.reason, "advice": fault.advice}


def judge(epochs: Sequence[Sequence[Sequence[str]]], length: int, shuffled: bool) -> str | None:
    """What is wrong with the shards (epoch x rank x indices) of a dataset of `length` samples, or None.

    DistributedSampler makes all ranks equally long: it repeats up to one sample per rank, or with drop_last leaves as
    many out; more is a fault.
    """
    for number, ranks in enumerate(epochs):
        found = Counter(index for rank in ranks for index in rank)
        missing, repeated = length - len(found), found.total() - len(found)
        equal = len({len(rank) for rank in ranks}) == 1
        if missing > 0 and repeated:
            return f"epoch {number}: the shards overlap: {repeated} samples repeated, {missing} of {length} missing"
        if missing >= len(ranks) or (missing > 0 and not equal):
            return f"epoch {number}: {missing} of {length} samples belong to no rank"
        if repeated >= len(ranks):
            return f"epoch {number}: the ranks share {repeated} samples"
    if shuffled and len(epochs) > 1 and epochs[0] == epochs[1]:
        return "every epoch has the same order: `sampler.set_epoch(epoch)` is not called before each epoch"
    return None


def shares(ranks: Sequence[Sequence[str]], length: int) -> str:
    """What the shards of an epoch have in common and leave out, in words.

    >>> shares([["0", "2"], ["1", "3"]], 4), shares([["0"], ["1"]], 3)
    ('disjoint and complete', 'disjoint, without 1 of 3 samples')
    >>> shares([["0", "2"], ["1", "0"]], 3)
    'complete, with 1 sample repeated to make the ranks equal'
    """
    found = Counter(index for rank in ranks for index in rank)
    missing, repeated = length - len(found), found.total() - len(found)
    if missing > 0:
        return f"disjoint, without {missing} of {length} samples"
    plural = "s" * (repeated != 1)
    return (
        f"complete, with {repeated} sample{plural} repeated to make the ranks equal"
        if repeated
        else "disjoint and complete"
    )


def launch(job: Mapping[str, Any], events: Events) -> None:
    """The task: start torchrun and record what its ranks delivered."""
    events.phase("torchrun")
    with tempfile.TemporaryDirectory(prefix="lossimpl-") as folder:
        result = Path(folder, "shards.json")
        call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(WORLD)]
        ended = subprocess.run(
            [*call, "-m", __name__, job["dataset"], str(result)],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if not result.exists():
            raise RuntimeError(f"torchrun ended with exit code {ended.returncode}: {ended.stderr[-2000:]}")
        found = json.loads(result.read_text())
    fault = judge(found["epochs"], found["length"], found["shuffled"])
    ranks = found["epochs"][0]
    events("shards", sizes=list(map(len, ranks)), shares=shares(ranks, found["length"]), fault=fault)


def deliver(dataset: str) -> dict[str, Any]:
    """The indices that this rank gets in each epoch, gathered from all ranks."""
    import torch.distributed as dist
    from torch.utils.data import DataLoader, DistributedSampler

    from lossimpl.loading.data.wrapping import Collate, wrap
    from lossimpl.loading.workload import make

    workload = make(dataset)
    sampler, set_epoch = workload.sampler, workload.set_epoch
    if sampler is None:
        own: Any = DistributedSampler(workload.dataset, shuffle=True)
        sampler, set_epoch = own, own.set_epoch
    loader: Any = DataLoader(wrap(workload.dataset, None), sampler=sampler, collate_fn=Collate(len))
    epochs = []
    for epoch in range(EPOCHS):
        if set_epoch is not None:
            set_epoch(epoch)
        mine = [mark.place for batch in loader for mark in batch.marks]
        ranks: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(ranks, mine)
        epochs.append(ranks)
    return {"epochs": epochs, "length": len(workload.dataset), "shuffled": getattr(sampler, "shuffle", False)}


def main(dataset: str, result: str) -> None:
    """One rank."""
    import torch.distributed as dist

    dist.init_process_group("gloo")
    try:
        found = deliver(dataset)
        if dist.get_rank() == 0:
            Path(result).write_text(json.dumps(found))
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
