"""Measures configurations of one dataset, each in fresh processes: inspect, refuse, time, judge the data, explain."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import psutil

from lossimpl.loading import deadlines, growth
from lossimpl.loading.data import verdict
from lossimpl.loading.data.digest import digest
from lossimpl.loading.datasets import resolve
from lossimpl.loading.diagnosis.advice import diagnose
from lossimpl.loading.diagnosis.status import Diagnosis
from lossimpl.loading.harness.launcher import Outcome, Zygote
from lossimpl.loading.inspection import limits
from lossimpl.loading.inspection.result import BETWEEN, Inspection
from lossimpl.loading.row import Row
from lossimpl.loading.settings import Settings
from lossimpl.loading.timing import analysis
from lossimpl.loading.timing.consumer import Kind
from lossimpl.loading.validity import Facts, has_driver, invalid_reason, skip_reason
from lossimpl.measure import busy
from lossimpl.measure.wall import now

# The tasks are named, not imported: they import torch, which the process that only starts jobs does without.
INSPECT = "lossimpl.loading.inspection.task:inspect"
TIME = "lossimpl.loading.timing.task:time_dataloader"
FINGERPRINT = "lossimpl.loading.data.fingerprint:fingerprint"

DEADLINE = 60.0  # seconds for one job, beyond a multiple of what it is expected to take
INSPECTION_SECONDS = 0.3
NO_DATA = Diagnosis("error", "no data: the dataset is empty", "check the path or the filter that it is made from")
OK = Diagnosis("ok")
NAMES_PLACE = re.compile(r"\.py:\d+\)")


@dataclass(frozen=True)
class Deliveries:
    """What the processes of one setting delivered: the epochs of each, what reading the dataset again showed (without
    workers), and how they ended."""

    runs: list[list[dict[str, Any]]] = field(default_factory=list)
    again: dict[str, Any] = field(default_factory=dict)
    fault: Diagnosis = OK


@dataclass
class Bench:
    """Measures configurations of one dataset; keeps what the inspection found and what was delivered.

    `step` seconds of a `consumer` stand for the training step. A job may take `deadline` seconds beyond a multiple of
    its expected time, and ends at `until` at the latest. `seed` is what a training script would set; `cpu_seconds` were
    used by all jobs so far.
    """

    dataset: str
    zygote: Zygote
    step: float = 0.01
    consumer: Kind = "sleep"
    deadline: float = DEADLINE
    until: float = math.inf
    seed: int = 0
    cpu_seconds: float = 0.0
    inspected: dict[int | None, Inspection] = field(default_factory=dict)
    delivered: dict[tuple[Settings, int], Deliveries] = field(default_factory=dict)

    def measure(self, settings: Settings, budget: float, verdict_seconds: float = 4.0, stall: bool = True) -> Row:
        """The row of one configuration: `budget` seconds of driving, then a verdict if `verdict_seconds` is not 0.

        The verdict reads whole epochs where they are short enough for the time given, else their first samples. Without
        `stall` the loader is not driven beside a step, which saves about half of the time.
        """
        started, before, used = now(), busy.read(), self.cpu_seconds
        row = self.measure_within(settings, budget, verdict_seconds, stall)
        after = busy.read()
        after = replace(after, own=after.own + self.cpu_seconds - used)
        return replace(row, seconds=now() - started, busy=busy.judge(before, after, psutil.cpu_count() or 1))

    def measure_within(self, settings: Settings, budget: float, verdict_seconds: float, stall: bool) -> Row:
        """The row without its cost; each part runs only where the one before found no fault."""
        if refused := self.refusal(settings):
            return self.explained(concluded(self.blank(settings), refused))
        row = self.time(self.blank(settings), budget, step=self.step if stall else 0.0)
        if row.status == "ok" and verdict_seconds:
            row = self.judge(row, self.verdict_samples(settings, verdict_seconds))
        return self.explained(row)

    def blank(self, settings: Settings) -> Row:
        """The row before anything runs."""
        return Row(self.dataset, asdict(settings), step=self.step, consumer=self.consumer, seed=self.seed)

    def refusal(self, settings: Settings) -> Diagnosis | None:
        """Why this configuration is not run at all, or None."""
        pins_in_vain = settings.pin_memory and not has_driver()  # known without inspecting the dataset
        facts = Facts() if pins_in_vain else self.inspect(settings).facts
        if reason := invalid_reason(settings, facts):
            return Diagnosis("invalid", reason, "change or leave out the argument that is named")
        if reason := skip_reason(settings, facts):
            return Diagnosis("skipped", reason)
        return known_failure(settings, self.inspect(settings))

    def inspect(self, settings: Settings) -> Inspection:
        """The facts and costs of the dataset at this batch size, inspected once."""
        size = settings.batch_size
        if size not in self.inspected:
            known = self.inspected.get(next(iter(self.inspected), None))
            left = max(0.0, self.until - now())
            unknown = left if math.isfinite(left) else INSPECTION_SECONDS  # it is not known yet what is slow here
            outcome = self.job(INSPECT, settings, known.seconds if known else unknown, budget=INSPECTION_SECONDS)
            self.inspected[size] = Inspection.of(outcome)
        return self.inspected[size]

    def time(self, row: Row, budget: float, task: str = TIME, step: float | None = None, **more: Any) -> Row:
        """The row with the numbers of the drive loop, also from before a failure; a `step` of 0 measures no stall."""
        settings, seen = row.settings, self.inspect(row.settings)
        samples = deadlines.epoch_samples(settings, seen, budget)
        asked = {
            "budget": budget,
            "step": self.step if step is None else step,
            "consumer": self.consumer,
            "samples": samples,
            **more,
        }
        outcome = self.job(task, settings, self.timing_seconds(settings, budget), **asked)
        events = {event["event"]: event for event in outcome.events}
        row = replace(row, **self.numbers(events, settings, samples), attribution=seen.attribution(settings))
        fault = diagnose(outcome)
        return concluded(row, NO_DATA if fault.status == "ok" and row.batches == 0 else fault)

    def timing_seconds(self, settings: Settings, budget: float) -> float:
        """What a timing job should take."""
        return deadlines.timing(settings, self.inspect(settings), budget, self.zygote.start_seconds)

    def numbers(self, events: Mapping[str, Any], settings: Settings, samples: int) -> dict[str, Any]:
        """The fields of a row from the events of a timing job and from the inspection."""
        seen = self.inspect(settings)
        length = seen.facts.length
        found = analysis.numbers_of(events, settings, length) if "free" in events else {}
        findings = limits.of_settings(settings, seen.cost, seen.machine)
        return {
            **found,
            "length": length,
            "epoch_samples": samples if length is not None and samples < length and not seen.facts.iterable else None,
            "findings": tuple(map(asdict, findings)),
            "warnings": growth.warnings(events, settings.num_workers, length, seen.machine),
        }

    def judge(self, row: Row, samples: int, against: Settings | None = None) -> Row:
        """The row with the verdict on its data against those of `against`, by default the same without workers.

        Wrong data end as `wrong-data`, and so do data that `num_workers=0` already has wrong.
        """
        settings = row.settings
        base = against or replace(settings.without_workers(), pin_memory=False)
        reference, candidate = self.deliveries(base, samples), Deliveries()
        if reference.fault.status != "ok":
            fault = reference.fault
            return concluded(row, replace(fault, reason=f"with num_workers=0: {fault.reason}"))
        candidate = self.deliveries(settings, samples)
        if candidate.fault.status != "ok":
            return concluded(row, candidate.fault)
        found = verdict.judge(candidate.runs, reference.runs, settings, base, reference.again)
        row = replace(
            row,
            verdict=found.kind,
            verdict_reason=found.reason,
            notes=found.notes,
            digest=digest([epoch["order_free"] for epoch in candidate.runs[0]]),
            verdict_samples=len(candidate.runs[0][0]["samples"]),
            verdict_whole=candidate.runs[0][0]["whole"] and not candidate.runs[0][0]["shortened"],
        )
        return concluded(row, Diagnosis("wrong-data", found.reason, found.advice)) if found.wrong else row

    def explained(self, row: Row) -> Row:
        """A failure that names no place in the user's code gets the parts of samples that loaders cannot handle."""
        if row.status not in ("error", "timeout") or NAMES_PLACE.search(row.reason):
            return row
        obstacles = self.inspect(row.settings).obstacles
        if not obstacles:
            return row
        parts = "; ".join(f"sample {one.number}{one.path} is {one.what}" for one in obstacles)
        return replace(
            row, reason=f"{parts}: {row.reason}", advice="; ".join(dict.fromkeys(one.advice for one in obstacles))
        )

    def deliveries(self, settings: Settings, samples: int) -> Deliveries:
        """What fresh processes deliver, and how they ended; asked once, unless the budget cut a run short.

        Two processes, and two more where `in_order` is off: then a pair may be equal by chance.
        """
        key = (settings, samples)
        if key not in self.delivered:
            found = self.delivered_now(settings, samples)
            if found.fault.cut:
                return found
            self.delivered[key] = found
        return self.delivered[key]

    def delivered_now(self, settings: Settings, samples: int) -> Deliveries:
        """The same, without asking what was delivered before."""
        runs: list[list[dict[str, Any]]] = []
        again: dict[str, Any] = {}
        seconds = deadlines.fingerprint(settings, self.inspect(settings), samples, self.zygote.start_seconds)
        for _ in range(2 if settings.in_order else 4):
            outcome = self.job(FINGERPRINT, settings, seconds, samples=samples)
            fault = diagnose(outcome)
            if fault.status != "ok":
                return Deliveries(fault=fault)
            runs.append([event for event in outcome.events if event["event"] == "epoch"])
            again = outcome.first("again") or again
            if runs[-1] and not verdict.identical(runs[0], runs[-1]):
                break
        return Deliveries(runs, again)

    def verdict_samples(self, settings: Settings, seconds: float) -> int:
        """How many samples of an epoch a verdict reads: all its runs in about `seconds`."""
        return deadlines.verdict_samples(settings, self.inspect(settings), seconds)

    def job(self, task: str, settings: Settings, seconds: float, **more: Any) -> Outcome:
        """Run one job; `seconds` is what it is expected to take."""
        fixed = {"task": task, "dataset": resolve(self.dataset), "settings": asdict(settings), "seed": self.seed}
        deserved, left = self.deadline + deadlines.SLACK * seconds, max(0.1, self.until - now())
        outcome = self.zygote.run({**fixed, **more}, min(deserved, left))
        self.cpu_seconds += outcome.cpu_seconds
        return replace(outcome, cut=outcome.timed_out and left < deserved)


def concluded(row: Row, fault: Diagnosis) -> Row:
    """The row with its status, reason and advice."""
    return replace(row, status=fault.status, reason=fault.reason, advice=fault.advice, cut=fault.cut)


def known_failure(settings: Settings, seen: Inspection) -> Diagnosis | None:
    """What the inspection already showed to fail under these settings, or None."""
    if seen.facts.length == 0:
        return NO_DATA
    outcome = seen.outcome
    irrelevant = outcome.phase == BETWEEN and settings.num_workers == 0
    if (outcome.timed_out and not irrelevant) or outcome.phase in ("start", "import", "build"):
        return diagnose(outcome)
    return None
