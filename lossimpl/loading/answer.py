"""The answer from the rows that were measured: what to use, what is as good, and what each costs. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossimpl.loading.settings import Settings
from lossimpl.loading.verdict import AUGMENTATION, SAME

Row = Mapping[str, Any]
STRICT = (SAME, AUGMENTATION)
NEARLY = 0.98  # of the best median: within it, and with overlapping intervals, the smaller setting is preferred


@dataclass(frozen=True)
class Answer:
    """What a sweep found; rows as they were measured, None or empty where there is none.

    `best`: use these. `tied`: not to be told from it. `smallest`: the fewest workers that keep the stall under the
    bound. `reordered`: faster, if samples may come in another order. `pareto`: not beaten in throughput, stall and
    memory at once. `refused`: rows that are never ranked, with their status.
    """

    best: Row | None
    tied: Sequence[Row]
    smallest: Row | None
    reordered: Row | None
    pareto: Sequence[Row]
    refused: Sequence[Row]


def settings_of(row: Row) -> Settings:
    """The settings of a row."""
    return Settings(**row["scenario"])


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The rows that may be ranked: measured, with a verdict, and with the right data; fastest first."""
    good = [row for row in rows if row["status"] == "ok" and row.get("epoch_rate") and row.get("verdict")]
    return sorted(good, key=lambda row: -float(row["epoch_rate"]))


def size(row: Row) -> tuple[float, ...]:
    """What a setting takes, smallest first: workers, batches in the queue, pinned memory, bytes."""
    settings = settings_of(row)
    return (settings.num_workers, settings.prefetched, settings.pin_memory, float(row.get("pss_bytes") or 0))


def overlap(one: Row, other: Row) -> bool:
    """Whether the intervals of two rows have a rate in common, so that neither can be called faster."""
    return bool(one["epoch_rate_low"] <= other["epoch_rate_high"] and other["epoch_rate_low"] <= one["epoch_rate_high"])


def beaten(row: Row, other: Row) -> bool:
    """Whether `other` is surely faster, waits no longer, and needs less memory."""
    faster = not overlap(row, other) and other["epoch_rate"] > row["epoch_rate"]
    stalls = [1.0 if one.get("stall_fraction") is None else one["stall_fraction"] for one in (row, other)]
    return bool(faster and stalls[1] <= stalls[0] and other["pss_bytes"] <= row["pss_bytes"])


def choose(rows: Sequence[Row], stall_bound: float) -> Answer:
    """The answer; settings that reorder samples or change from run to run are offered apart, never as the answer."""
    order = ranked(rows)
    strict = [row for row in order if row["verdict"] in STRICT]
    tied = [row for row in strict if overlap(row, strict[0])] if strict else []
    near = [row for row in tied if row["epoch_rate"] >= NEARLY * strict[0]["epoch_rate"]]
    best = min(near, key=size) if near else None
    enough = [row for row in strict if row.get("stall_fraction") is not None and row["stall_fraction"] <= stall_bound]
    loose = [row for row in order if best and row["verdict"] not in STRICT and not overlap(row, best)]
    faster = [row for row in loose if best and row["epoch_rate"] > best["epoch_rate"]]
    return Answer(
        best=best,
        tied=[row for row in tied if row is not best],
        smallest=min(enough, key=size) if enough else None,
        reordered=faster[0] if faster else None if best else (order[0] if order else None),
        pareto=[row for row in order if not any(beaten(row, other) for other in order)],
        refused=[row for row in rows if row["status"] != "ok"],
    )


def sentence(row: Row, stated: str = "same data as num_workers=0") -> str:
    """One row as the answer is spoken: settings, samples per second, stall, data, memory."""
    data = {
        SAME: stated,
        AUGMENTATION: "same samples in the same order as num_workers=0, other augmentation",
    }.get(row["verdict"], f"{row['verdict']} against num_workers=0")
    stall = row.get("stall_fraction")
    parts = [f"{row['epoch_rate']:,.0f} samples/s"]
    if stall is not None:
        parts.append(f"stall {stall:.0%} at a step of {1000 * row['step']:g} ms")
    parts += [data, f"{row['pss_bytes'] / 2**20:.0f} MiB"]
    return f"DataLoader({settings_of(row).text}): {', '.join(parts)}"
