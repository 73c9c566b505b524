"""What is measured beside the sweep: a cold page cache, peers, the shards of distributed training."""

from __future__ import annotations

from typing import Any

from lossimpl.loading.advice import Diagnosis, diagnose
from lossimpl.loading.bench import Bench
from lossimpl.loading.settings import Settings

PEERS = ("torchdata", "webdataset", "spdl")  # see `lossimpl.loading.peers`, which imports torch
RESUME_BATCHES = 10


def peer(bench: Bench, name: str, settings: Settings, budget: float) -> dict[str, Any]:
    """The row of a peer's loader with these settings; of torchdata, also whether an epoch can be resumed."""
    row = {**bench.blank(settings), "kind": "peer", "peer": name}
    fault = bench.time(settings, budget, row, peer=name)
    if name == "torchdata" and fault.status == "ok":
        outcome = bench.job("resume", settings, 0.0, batches=RESUME_BATCHES)
        found, fault = outcome.first("resume"), diagnose(outcome)
        row["resumed"] = found and found["restored"]
        if found and not found["same_length"]:
            fault = Diagnosis("wrong-data", "a resumed epoch has another length", "do not resume within an epoch")
    row.update(status=fault.status, reason=fault.reason, advice=fault.advice)
    return row


def cold(bench: Bench, settings: Settings, budget: float) -> dict[str, Any]:
    """The row of these settings when the kernel has forgotten the dataset's files; `page_cache` says if it did."""
    row = {**bench.blank(settings), "kind": "cold"}
    fault = bench.time(settings, budget, row, cold=True)
    row.update(status=fault.status, reason=fault.reason, advice=fault.advice)
    return row


def shards(bench: Bench, world: int = 2) -> dict[str, Any]:
    """The record of DistributedSampler over `world` processes under torchrun."""
    outcome = bench.job("distributed", Settings(), 0.0, world=world)
    found, fault = outcome.first("shards"), diagnose(outcome)
    if found and found["fault"]:
        fault = Diagnosis(
            "wrong-data", found["fault"], "use DistributedSampler and call its set_epoch before each epoch"
        )
    record = {"kind": "distributed", "dataset": bench.dataset, "world": world, "sizes": found and found["sizes"]}
    return {**record, "status": fault.status, "reason": fault.reason, "advice": fault.advice}
