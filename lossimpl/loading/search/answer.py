"""The answer from the rows that were measured: what to use, what is as good, and what each costs. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lossimpl.loading.data.verdict import AUGMENTATION, SAME
from lossimpl.loading.row import Row

STRICT = (SAME, AUGMENTATION)
NEARLY = 0.98  # of the best median: within it, and with overlapping intervals, the smaller setting is preferred


@dataclass(frozen=True)
class Answer:
    """What a search found; rows as they were measured, None or empty where there is none.

    `best`: use these. `tied`: statistically tied with it. `smallest`: the fewest workers that keep the stall under the
    bound. `reordered`: faster, if samples may come in another order. `pareto`: no other is better in throughput, stall
    and memory at once. `refused`: rows that are never ranked, with their status.
    """

    best: Row | None
    tied: Sequence[Row]
    smallest: Row | None
    reordered: Row | None
    pareto: Sequence[Row]
    refused: Sequence[Row]


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The rows that may be ranked: measured, with a verdict, and with the right data; fastest first."""
    return sorted((row for row in rows if row.ranked_rate and row.verdict), key=lambda row: -row.ranked_rate)


def size(row: Row) -> tuple[float, ...]:
    """What a setting takes, smallest first: workers, batches in the queue, pinned memory, bytes."""
    settings = row.settings
    return (settings.num_workers, settings.prefetched, settings.pin_memory, float(row.pss_bytes or 0))


def beaten(row: Row, other: Row) -> bool:
    """Whether `other` is certainly faster, waits no longer, and needs no more memory."""
    faster = not row.overlaps(other) and other.ranked_rate > row.ranked_rate
    stalls = [1.0 if one.stall_fraction is None else one.stall_fraction for one in (row, other)]
    return faster and stalls[1] <= stalls[0] and (other.pss_bytes or 0) <= (row.pss_bytes or 0)


def choose(rows: Sequence[Row], stall_bound: float) -> Answer:
    """The answer; settings that reorder samples or change from run to run are offered apart, never as the answer."""
    order = ranked(rows)
    strict = [row for row in order if row.verdict in STRICT]
    tied = [row for row in strict if row.overlaps(strict[0])]
    near = [row for row in tied if row.ranked_rate >= NEARLY * strict[0].ranked_rate]
    best = min(near, key=size) if near else None
    enough = [row for row in strict if row.stall_fraction is not None and row.stall_fraction <= stall_bound]
    return Answer(
        best=best,
        tied=[row for row in tied if row is not best],
        smallest=min(enough, key=size) if enough else None,
        reordered=faster_in_another_order(order, best),
        pareto=[row for row in order if not any(beaten(row, other) for other in order)],
        refused=[row for row in rows if row.status != "ok"],
    )


def faster_in_another_order(order: Sequence[Row], best: Row | None) -> Row | None:
    """The fastest row that changes the order and is certainly faster than the best one; without a best, the fastest."""
    loose = (row for row in order if row.verdict not in STRICT)
    if best is None:
        return next(loose, None)
    return next((row for row in loose if not row.overlaps(best) and row.ranked_rate > best.ranked_rate), None)


def sentence(row: Row) -> str:
    """One row in one line: settings, samples per second, stall, data, memory."""
    data = {
        SAME: "same data as num_workers=0",
        AUGMENTATION: "same samples in the same order as num_workers=0, other augmentation",
    }.get(row.verdict or "", f"{row.verdict} against num_workers=0")
    parts = [f"{row.ranked_rate:,.0f} samples/s"]
    if row.stall_fraction is not None and row.step is not None:
        parts.append(f"stall {row.stall_fraction:.0%} at a step of {1000 * row.step:g} ms")
    parts += [data, f"{(row.pss_bytes or 0) / 2**20:.0f} MiB"]
    return f"DataLoader({row.settings.text}): {', '.join(parts)}"
