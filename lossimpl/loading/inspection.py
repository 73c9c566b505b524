"""The first look at a workload: its facts, what each stage costs, and what is to be feared before a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lossimpl.loading import limits, obstacles, preflight, stages
from lossimpl.loading.job import Events
from lossimpl.loading.pickling import pickled_size
from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import facts_of, make
from lossimpl.measure.wall import now


def work(job: Mapping[str, Any], events: Events) -> None:
    """Build the workload, take samples for a moment, write down what was found; an event for each part."""
    settings = Settings(**job["settings"])
    events.phase("build")
    started = now()
    workload = make(job["dataset"])
    facts = facts_of(workload)
    has = {name: getattr(workload, name) is not None for name in ("collate_fn", "worker_init_fn", "sampler")}
    events("facts", facts=asdict(facts), files=len(workload.files), build_seconds=now() - started, has=has)
    events.phase("preflight")
    pickled = {name: pickled_size(part) for name, part in preflight.parts(workload)}
    findings = [asdict(one) for one in preflight.of_workload(workload)]
    events("preflight", findings=findings, machine=asdict(limits.machine()), pickled_bytes=pickled)
    if facts.length == 0:
        return
    events.phase("samples")
    budget = float(job["budget"])
    gathered = stages.gather(workload, budget / 2)
    if not gathered.samples:
        return
    events("obstacles", found=obstacles.of_samples(gathered.samples))
    events.phase("collate")
    probe = stages.probe(gathered, workload, settings, budget / 4)
    events("cost", **asdict(probe.cost))
    events.phase("between processes")
    events("between", seconds=stages.between_processes(probe.batch, budget))
    events.phase("copy")
    events("copy", **stages.copies(probe.batch))
