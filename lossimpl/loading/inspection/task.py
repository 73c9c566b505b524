"""The job that inspects a workload; see `result` for what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from lossimpl.loading.harness.job import Events
from lossimpl.loading.inspection import limits, obstacles, preflight, stages
from lossimpl.loading.inspection.result import BETWEEN
from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import facts_of, make


def inspect(job: Mapping[str, Any], events: Events) -> None:
    """The task: build the workload, take samples for `budget` seconds, and record each part as it is found."""
    settings, budget, found = Settings(**job["settings"]), float(job["budget"]), partial(events, "found")
    events.phase("build")
    workload = make(job["dataset"])
    facts = facts_of(workload)
    has = {name: getattr(workload, name) is not None for name in ("collate_fn", "worker_init_fn", "sampler")}
    found(facts=asdict(facts), files=len(workload.files), has=has)
    events.phase("preflight")
    found(findings=list(map(asdict, preflight.of_workload(workload))), machine=asdict(limits.machine()))
    if facts.length == 0:
        return
    events.phase("samples")
    gathered = stages.gather(workload, budget / 2)
    if not gathered.samples:
        return
    found(obstacles=list(map(asdict, obstacles.of_samples(gathered.samples))))
    events.phase("collate")
    probe = stages.probe(gathered, workload, settings, budget / 4)
    found(cost=asdict(probe.cost))
    events.phase(BETWEEN)
    found(between=stages.between_processes(probe.batch, budget))
    events.phase("copy")
    found(copy=stages.copies(probe.batch))
