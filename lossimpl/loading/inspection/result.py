"""What an inspection found, as values that need no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.settings import Settings
from lossimpl.loading.validity import Facts

BETWEEN = "between processes"  # the phase of the job that matters only to settings with workers
UNKNOWN_SAMPLE_SECONDS = 1e-3  # where no sample could be timed
SHORTEST_SAMPLE_SECONDS = 1e-6


@dataclass(frozen=True)
class Finding:
    """One thing to know before the run: which check found it, what it found, and what to do about it."""

    check: str
    what: str
    advice: str


@dataclass(frozen=True)
class Obstacle:
    """A part of a sample that a loader cannot join, send or copy.

    `path` in the sample, `number` of the first sample that has it, `what` it is, and what to do about it.
    """

    path: str
    number: int
    what: str
    advice: str


@dataclass(frozen=True)
class Machine:
    """What settings are compared with: bytes free in /dev/shm, file descriptors, cores, the threads of BLAS, and bytes
    of memory that are available."""

    shared_bytes: int
    open_files: int
    cores: int
    blas_threads: int
    memory_bytes: int = 1 << 62


@dataclass(frozen=True)
class Cost:
    """Seconds per batch of each stage in the loader's process, and the size of a batch.

    `tensors` and `bytes` are those of one batch of `batch` samples; `sample_seconds` is dataset and transform together,
    per sample, from `samples` of them. `slowest`: the samples that took longest, as [number, seconds].
    """

    sample_seconds: float
    dataset: float
    transform: float
    collate: float
    tensors: int
    bytes: int
    samples: int
    batch: int = 1
    slowest: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Inspection:
    """What the first look at a workload found; parts that it did not reach keep their defaults.

    `built`: whether the workload could be built. `has`: which functions and samplers it brings. `files`: how many files
    it names. `between`: seconds per batch on the way between processes. `copy`: seconds per batch to pin and to copy it
    to an accelerator. `seconds`: how long the inspection took, `built_seconds`: of these for making the dataset.
    `features`: what torch and Python offer here. `outcome`: how the job ended.
    """

    outcome: Outcome
    built: bool = False
    built_seconds: float = 0.0
    seconds: float = 0.0
    facts: Facts = field(default_factory=Facts)
    has: Mapping[str, bool] = field(default_factory=dict)
    files: int = 0
    machine: Machine | None = None
    findings: tuple[Finding, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    cost: Cost | None = None
    between: float | None = None
    copy: Mapping[str, float] = field(default_factory=dict)
    features: str = ""

    @classmethod
    def of(cls, outcome: Outcome) -> Inspection:
        """Collect the events `found`, each of which holds some of the fields, or more findings."""
        found: dict[str, Any] = {}
        findings: list[Any] = []
        for event in outcome.events:
            if event["event"] == "found":
                findings += event.get("findings", [])
                found |= {name: value for name, value in event.items() if name in cls.__dataclass_fields__}
        found["findings"] = findings
        if outcome.events:
            found["seconds"] = outcome.events[-1]["at"] - outcome.events[0]["at"]
        for name, kind in {"facts": Facts, "machine": Machine, "cost": Cost}.items():
            found |= {name: kind(**found[name])} if name in found else {}
        for name, kind in {"findings": Finding, "obstacles": Obstacle}.items():
            found |= {name: tuple(kind(**one) for one in found[name])} if name in found else {}
        return cls(outcome, built="facts" in found, **found)

    @property
    def sample_seconds(self) -> float:
        """What one sample costs in one process."""
        return max(SHORTEST_SAMPLE_SECONDS, self.cost.sample_seconds) if self.cost else UNKNOWN_SAMPLE_SECONDS

    def attribution(self, settings: Settings) -> dict[str, float | None]:
        """Seconds per batch of each stage under these settings; None for a stage that they leave out."""
        cost = self.cost
        parts = {"dataset": cost.dataset, "transform": cost.transform, "collate": cost.collate} if cost else {}
        return {
            **parts,
            "between": self.between if settings.num_workers else None,
            "pin": self.copy.get("pin") if settings.pin_memory else None,
            "copy": self.copy.get("pinned" if settings.pin_memory else "pageable"),
        }
