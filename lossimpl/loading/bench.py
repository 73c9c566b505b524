"""The bench: measures configurations of one dataset, each in fresh processes; rows are described in `row`."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import psutil

from lossimpl.loading import analysis, verdict
from lossimpl.loading.advice import Diagnosis, diagnose
from lossimpl.loading.digest import digest
from lossimpl.loading.launcher import Outcome, Zygote
from lossimpl.loading.limits import Finding, Machine, of_settings
from lossimpl.loading.settings import Settings
from lossimpl.loading.space import without_workers
from lossimpl.loading.validity import Facts, has_driver, invalid_reason, skip_reason
from lossimpl.loading.workload import resolve
from lossimpl.measure import busy
from lossimpl.measure.wall import now

DEADLINE = 60.0  # seconds for one job, beyond what its budget allows it
DIGEST_SECONDS = 200e-6  # a small sample with its way between processes
VERDICT_SAMPLES = 16  # the fewest that a verdict looks at in each epoch


BETWEEN = "between processes"  # the phase of an inspection that only settings with workers need
DIGEST_BYTES = 100e6  # a second, on a busy machine
NO_DATA = Diagnosis("error", "no data: the dataset is empty", "check the path or the filter that it is made from")


NAMES_PLACE = re.compile(r"\.py:\d+\)")
Delivery = list[dict[str, Any]]  # the epochs that one process delivered, as `fingerprint` wrote them


@dataclass
class Bench:
    """Measures configurations of one dataset: a zygote, the facts of the dataset, and what was delivered so far.

    `step` and `consumer` stand for the training step; `deadline` bounds each job; `seed` is what a training script
    would set; `cpu_seconds` were spent by all jobs so far.
    """

    dataset: str
    zygote: Zygote
    step: float = 0.01
    consumer: str = "sleep"
    deadline: float = DEADLINE
    seed: int = 0
    cpu_seconds: float = 0.0
    inspected: dict[str, Outcome] = field(default_factory=dict)
    delivered: dict[tuple[Settings, int], list[Delivery]] = field(default_factory=dict)

    def job(self, kind: str, settings: Settings, seconds: float, **more: Any) -> Outcome:
        """Run one job of a kind; `seconds` is what it is expected to take, the deadline comes on top."""
        fixed = {"kind": kind, "dataset": resolve(self.dataset), "settings": asdict(settings), "seed": self.seed}
        outcome = self.zygote.run({**fixed, **more}, self.deadline + seconds)
        self.cpu_seconds += outcome.cpu_seconds
        return outcome

    def inspect(self, settings: Settings, budget: float = 0.3) -> Outcome:
        """The facts and costs of the dataset at this batch size, looked at once."""
        key = str(settings.batch_size)
        if key not in self.inspected:
            self.inspected[key] = self.job("inspect", settings, budget, budget=budget)
        return self.inspected[key]

    def facts(self, settings: Settings) -> Facts:
        """What the rules need; of a dataset that cannot even be made, the defaults."""
        seen = self.inspect(settings).first("facts")
        return Facts(**seen["facts"]) if seen else Facts()

    def has_files(self, settings: Settings) -> bool:
        """Whether the workload names files whose page cache can be dropped."""
        seen = self.inspect(settings).first("facts")
        return bool(seen and seen["files"])

    def sample_seconds(self, settings: Settings) -> float:
        """What one sample costs in one process."""
        cost = self.inspect(settings).first("cost")
        return max(1e-6, float(cost["sample_seconds"])) if cost else 1e-3

    def measure(self, settings: Settings, budget: float, verdict_seconds: float = 4.0) -> dict[str, Any]:
        """The row of one configuration: `budget` seconds of driving, then a verdict if `verdict_seconds` is not 0.

        The verdict covers whole epochs where they are short enough for the time given, else their first samples.
        """
        started, before, used = now(), busy.read(), self.cpu_seconds
        row = self.blank(settings)
        fault = self.refusal(settings) or self.hopeless(settings)
        if fault is None:
            fault = self.time(settings, budget, row)
            if verdict_seconds and fault.status == "ok":
                fault = self.judge(settings, self.verdict_samples(settings, verdict_seconds), row)
        fault = self.explained(settings, fault)
        row.update(status=fault.status, reason=fault.reason, advice=fault.advice)
        after = busy.read()
        after = replace(after, own=after.own + self.cpu_seconds - used)
        row.update(seconds=now() - started, busy=busy.judge(before, after, psutil.cpu_count() or 1))
        return row

    def blank(self, settings: Settings) -> dict[str, Any]:
        """The part of a row that is known before anything runs."""
        return {
            "kind": "measurement",
            "dataset": self.dataset,
            "scenario": asdict(settings),
            "step": self.step,
            "consumer": self.consumer,
            "seed": self.seed,
        }

    def refusal(self, settings: Settings) -> Diagnosis | None:
        """Why this configuration is not run at all, or None."""
        hopeless = settings.pin_memory and not has_driver()  # known without looking at the dataset
        facts = Facts() if hopeless else self.facts(settings)
        if reason := invalid_reason(settings, facts):
            return Diagnosis("invalid", reason, "change or leave out the argument that is named")
        if reason := skip_reason(settings, facts):
            return Diagnosis("skipped", reason)
        return None

    def hopeless(self, settings: Settings) -> Diagnosis | None:
        """What the inspection already showed to fail under every setting, or None."""
        seen = self.inspect(settings)
        if self.facts(settings).length == 0:
            return NO_DATA
        needless = seen.phase == BETWEEN and settings.num_workers == 0
        if (seen.timed_out and not needless) or seen.phase in ("start", "import", "build"):
            return diagnose(seen)
        return None

    def explained(self, settings: Settings, fault: Diagnosis) -> Diagnosis:
        """A failure that names no place of the user's, with what in the samples no loader can join, send or copy."""
        if fault.status not in ("error", "timeout") or NAMES_PLACE.search(fault.reason):
            return fault
        seen = self.inspect(settings).first("obstacles")
        if seen is None or not seen["found"]:
            return fault
        parts = [f"sample {one['number']}{one['path']} is {one['what']}" for one in seen["found"]]
        cures = dict.fromkeys(one["advice"] for one in seen["found"])
        return Diagnosis(fault.status, f"{'; '.join(parts)}: {fault.reason}", "; ".join(cures))

    def time(self, settings: Settings, budget: float, row: dict[str, Any], **more: Any) -> Diagnosis:
        """Run the drive loop and put its numbers into the row, also those from before a failure."""
        facts = self.facts(settings)
        outcome = self.job(
            "timing",
            settings,
            4 * budget,
            budget=budget,
            step=self.step,
            consumer=self.consumer,
            samples=self.epoch_samples(settings, budget),
            **more,
        )
        events = {event["event"]: event for event in outcome.events}
        if "free" in events:
            row.update(analysis.summarise(events, settings, facts.length))
        row["attribution"] = self.attribution(settings)
        row["findings"] = [asdict(one) for one in self.predicted(settings)]
        fault = diagnose(outcome)
        return NO_DATA if fault.status == "ok" and row["batches"] == 0 else fault

    def epoch_samples(self, settings: Settings, budget: float) -> int:
        """Epochs short enough for two of them in the budget, long enough for a steady state.

        Where a start costs seconds (workers that import everything anew, each epoch), one epoch for all.
        """
        costly = settings.multiprocessing_context in ("spawn", "forkserver") and not settings.persistent_workers
        budget *= 4 if costly else 1
        per_second = max(1, settings.num_workers) / self.sample_seconds(settings)
        batch = settings.batch_size or 1
        fewest = batch * (settings.prefetched + 1 + 2 * max(2, settings.num_workers))
        return max(fewest, batch * int(per_second * budget / 3 / batch))

    def predicted(self, settings: Settings) -> list[Finding]:
        """What these settings need that the machine may not have."""
        seen = self.inspect(settings)
        cost, looked = seen.first("cost"), seen.first("preflight")
        if cost is None or looked is None:
            return []
        return of_settings(settings, cost["tensors"], cost["bytes"], Machine(**looked["machine"]))

    def attribution(self, settings: Settings) -> dict[str, Any]:
        """Seconds per batch of each stage, as the inspection found them."""
        seen = self.inspect(settings)
        cost, between, copy = seen.first("cost"), seen.first("between"), seen.first("copy")
        parts: dict[str, Any] = {name: cost[name] for name in ("dataset", "transform", "collate")} if cost else {}
        parts["between"] = between["seconds"] if between and settings.num_workers else None
        parts["pin"] = copy.get("pin") if copy and settings.pin_memory else None
        parts["copy"] = copy.get("pinned" if settings.pin_memory else "pageable") if copy else None
        return parts

    def verdict_samples(self, settings: Settings, seconds: float) -> int:
        """How many samples of an epoch a verdict looks at: four runs of two epochs in about `seconds`.

        The same for all settings of one batch size, so that they share the runs of their reference.
        """
        fewest = max(VERDICT_SAMPLES, 2 * (settings.batch_size or 1))
        return max(fewest, int(seconds / 8 / (self.sample_seconds(settings) + DIGEST_SECONDS)))

    def digesting_seconds(self, settings: Settings, samples: int) -> float:
        """What two epochs of digests may take by what the samples weigh; the deadline comes on top."""
        cost = self.inspect(settings).first("cost")
        weight = cost["bytes"] / max(1, settings.batch_size or 1) if cost else 0.0
        return 2 * samples * float(weight) / DIGEST_BYTES

    def judge(
        self, settings: Settings, samples: int, row: dict[str, Any], against: Settings | None = None
    ) -> Diagnosis:
        """Compare what the settings deliver with `against`, by default the same settings without workers.

        A fault of the data ends as `wrong-data`, and so does one that `num_workers=0` already has.
        """
        base = against or replace(without_workers(settings), pin_memory=False)
        reference, fault = self.deliveries(base, samples)
        if fault.status != "ok":
            return replace(fault, reason=f"with num_workers=0: {fault.reason}")
        runs, fault = self.deliveries(settings, samples)
        if fault.status != "ok":
            return fault
        found = verdict.judge(runs, reference)
        row.update(verdict=found.kind, verdict_reason=found.reason, notes=list(found.notes))
        row.update(digest=digest([epoch["order_free"] for epoch in runs[0]]))
        row.update(verdict_samples=len(runs[0][0]["samples"]), verdict_whole=runs[0][0]["whole"])
        return Diagnosis("wrong-data", found.reason, found.advice) if found.wrong else Diagnosis("ok")

    def deliveries(self, settings: Settings, samples: int) -> tuple[list[Delivery], Diagnosis]:
        """What fresh processes deliver, and what became of them; asked once.

        Two processes, and two more where `in_order` is off: a pair that happens to be equal proves nothing then.
        """
        key = (settings, samples)
        if key not in self.delivered:
            runs: list[Delivery] = []
            for _ in range(2 if settings.in_order else 4):
                outcome = self.job("verdict", settings, self.digesting_seconds(settings, samples), samples=samples)
                fault = diagnose(outcome)
                if fault.status != "ok":
                    return [], fault
                runs.append([event for event in outcome.events if event["event"] == "epoch"])
                if runs[-1] and not verdict.identical(runs[0], runs[-1]):
                    break
            self.delivered[key] = runs
        return self.delivered[key], Diagnosis("ok")
