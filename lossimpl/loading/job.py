"""One job, inside its own fresh process: make the workload, do one kind of work, and write down what happens.

Kinds: `inspect` (facts, pre-flight, cost of each stage), `timing` (the drive loop), `verdict` (digests of the data),
`distributed` (shards under torchrun), `resume` (a peer's place in an epoch, saved and taken up again).
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import random
import resource
import signal
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lossimpl.measure.wall import now

KINDS = {
    "inspect": "lossimpl.loading.inspection",
    "timing": "lossimpl.loading.timing",
    "verdict": "lossimpl.loading.fingerprint",
    "distributed": "lossimpl.loading.distributed",
    "resume": "lossimpl.loading.peers",
}
EVENTS = "events.jsonl"  # in the folder of a job
TEXT_KEPT = 8_000


@dataclass(frozen=True)
class Events:
    """Appends JSON lines to a file that is open only while a line is written."""

    path: str
    current: list[str] = field(default_factory=lambda: ["start"])

    def __call__(self, event: str, **fields: Any) -> None:
        with open(self.path, "a") as file:
            file.write(json.dumps({"event": event, "at": now(), **fields}) + "\n")

    def phase(self, name: str) -> None:
        """Say what is done from now on, so that a death or a hang can be placed."""
        self.current[0] = name
        self("phase", name=name)


def run(job: Mapping[str, Any], events_path: str) -> int:
    """Do the job; return the exit code. Whatever the dataset raises becomes an event, with its place."""
    faulthandler.register(signal.SIGUSR1, all_threads=False, chain=False)
    events = Events(events_path)
    try:
        if job.get("memory_limit"):
            resource.setrlimit(resource.RLIMIT_AS, (job["memory_limit"], job["memory_limit"]))
        if job.get("files_limit"):
            resource.setrlimit(resource.RLIMIT_NOFILE, (job["files_limit"], job["files_limit"]))
        seed_everything(int(job.get("seed", 0)))
        events.phase("import")
        work = importlib.import_module(KINDS[job["kind"]])
        work.work(job, events)
        events.phase("exit")
    except BaseException as error:
        events(
            "error",
            type=type(error).__name__,
            message=message_of(error),
            phase=events.current[0],
            frames=[[one.filename, one.lineno, one.name] for one in traceback.extract_tb(error.__traceback__)],
        )
        return 1
    return 0


def message_of(error: BaseException) -> str:
    """The end of what the exception says; of one that cannot even say that, nothing."""
    try:
        return str(error)[-TEXT_KEPT:]
    except Exception:
        return ""


def seed_everything(seed: int) -> None:
    """The seeds that a training script sets at its start."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
