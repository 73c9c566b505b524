"""The loading row: one configuration on one dataset, measured in fresh processes, with its verdict on the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from lossimpl.loading.settings import Settings
from lossimpl.ranking import Interval


@dataclass(frozen=True)
class Row:
    """One measured configuration; `dataclasses.asdict` makes it a JSON line. What was not measured is None, never 0.

    `scenario`: the `Settings`, by name. `step` seconds of a `consumer` stand for the training step.
    `samples_per_second`: one figure per window of the steady state, or per whole epoch where `steady_state` is false.
    `rate`, `rate_low`, `rate_high`: their median and its 95 percent interval; `epoch_rate` and its ends: the same over
    a whole epoch with the wait at its start, which is what settings are ranked by.
    `batch_seconds`: the wait for a batch, as p50, p95 and p99. `stall_fraction`: the share of waiting beside the step.
    `cpu_cores`: processor seconds per second. `pss_bytes`: memory of the process tree, pages that it shares counted
    once; `pss_growth_bytes`: its growth during the row. `page_cache`: warm or cold. `attribution`: seconds per batch of
    each stage. `findings`: what the settings need that the machine may lack.
    `verdict`, `verdict_reason`, `notes`: how the data compare with those of num_workers=0, judged from
    `verdict_samples` samples of each epoch (`verdict_whole`: these were all); `digest`: the order-free digests of the
    epochs, chained. `status`, `reason`, `advice`: why the row is not `ok`, and what to do; `cut`: the budget ended
    before the row did. `seconds`: how long the row took. `busy`: a warning about other processes. `length`: the
    samples of the dataset, `epoch_samples`: of an epoch as it was timed, where that was shorter. `warnings`: resources
    that grow with each sample and will run out.
    """

    dataset: str
    scenario: dict[str, Any]
    kind: str = "measurement"
    step: float | None = None
    consumer: str | None = None
    seed: int | None = None
    samples_per_second: tuple[float, ...] = ()
    steady_state: bool | None = None
    build_seconds: float | None = None
    iter_seconds: float | None = None
    first_batch_seconds: float | None = None
    restart_seconds: float | None = None
    shutdown_seconds: float | None = None
    batch_seconds: dict[str, float | None] | None = None
    cpu_cores: float | None = None
    pss_bytes: int | None = None
    pss_growth_bytes: int | None = None
    batches: int | None = None
    page_cache: str | None = None
    stall_fraction: float | None = None
    rate: float | None = None
    rate_low: float | None = None
    rate_high: float | None = None
    epoch_rate: float | None = None
    epoch_rate_low: float | None = None
    epoch_rate_high: float | None = None
    attribution: dict[str, float | None] | None = None
    findings: tuple[dict[str, str], ...] = ()
    verdict: str | None = None
    verdict_reason: str | None = None
    notes: tuple[str, ...] = ()
    digest: str | None = None
    verdict_samples: int | None = None
    verdict_whole: bool | None = None
    status: str = "ok"
    reason: str = ""
    advice: str = ""
    cut: bool = False
    seconds: float | None = None
    busy: str = ""
    length: int | None = None
    epoch_samples: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def settings(self) -> Settings:
        """The settings that were measured."""
        return Settings(**self.scenario)

    @property
    def ranked_rate(self) -> float:
        """Samples per second over whole epochs; 0 for a row that must not be ranked."""
        return float(self.epoch_rate or 0.0) if self.status == "ok" else 0.0

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The row of a stored line; names that a row does not have are passed over."""
        return cls(**{field.name: record[field.name] for field in fields(cls) if field.name in record})

    @property
    def interval(self) -> Interval | None:
        """The rate that rows are ranked by with its interval, or None where one value alone is known."""
        ends = (self.epoch_rate, self.epoch_rate_low, self.epoch_rate_high)
        known = [float(end) for end in ends if end is not None]
        return Interval(*known) if len(known) == 3 else None
