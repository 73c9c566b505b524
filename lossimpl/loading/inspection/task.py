"""The job that inspects a workload; see `result` for what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from lossimpl.loading import features
from lossimpl.loading.harness.job import Events
from lossimpl.loading.inspection import limits, obstacles, preflight, stages
from lossimpl.loading.inspection.result import BETWEEN, Finding
from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import facts_of, imported, made
from lossimpl.measure.wall import now


def inspect(job: Mapping[str, Any], events: Events) -> None:
    """The task: build the workload, take samples for `budget` seconds, and record each part as it is found."""
    settings, budget, found = Settings(**job["settings"]), float(job["budget"]), partial(events, "found")
    events.phase("import")
    factory = imported(job["dataset"])
    events.phase("build")
    started = now()
    workload = made(factory)
    found(built_seconds=now() - started)
    facts = facts_of(workload)
    has = {name: getattr(workload, name) is not None for name in ("collate_fn", "worker_init_fn", "sampler")}
    found(features=features.sentence(), facts=asdict(facts), files=len(workload.files), has=has)
    events.phase("preflight")
    found(machine=asdict(limits.machine()))
    for check in preflight.CHECKS:  # recorded one by one: what one finds outlives what the next runs into
        found(findings=list(map(asdict, guarded(check, workload))))
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
    events.phase("late samples")
    found(findings=list(map(asdict, stages.late_samples(workload, gathered))))
    events.phase(BETWEEN)
    found(between=stages.between_processes(probe.batch, budget))
    events.phase("copy")
    found(copy=stages.copies(probe.batch))


def guarded(check: Callable[[Any], Any], workload: Any) -> list[Finding]:
    """What a check finds; one that fails on an odd object keeps what it has found so far."""
    found: list[Finding] = []
    try:
        found.extend(check(workload))
    except Exception as error:
        what = f"could not look at all of the dataset: {type(error).__name__}"
        found.append(Finding("inspection", what, "nothing to do: this concerns the warnings alone"))
    return found
