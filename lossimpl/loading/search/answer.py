"""The answer from the rows that were measured: what to use, what is as good, and what each costs. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lossimpl import wording
from lossimpl.loading.data.verdict import AUGMENTATION, BATCHES, REPEATED, SAME, STRICT
from lossimpl.loading.search import race
from lossimpl.loading.search.measured import Measured

CONFIRMED = 3  # rounds, where any setting has as many: the fastest of single values is the luckiest


@dataclass(frozen=True)
class Answer:
    """What a search found; rows as they were measured, None or empty where there is none.

    `best`: use these. `provisional`: no verdict on any data was reached, so that `best` is the fastest alone. `tied`:
    statistically tied with it. `smallest`: the fewest workers that keep the stall under the bound. `reordered`: faster,
    if samples may come in another order. `repeated`: faster, but its random draws repeat. `pareto`: no other is better
    in throughput, stall and memory at once. `refused`: rows that are never ranked, with their status.
    """

    best: Measured | None
    provisional: bool
    tied: Sequence[Measured]
    smallest: Measured | None
    reordered: Measured | None
    repeated: Measured | None
    pareto: Sequence[Measured]
    refused: Sequence[Measured]


def ranked(rows: Sequence[Measured]) -> list[Measured]:
    """The rows that may be ranked: measured and with the right data; fastest first by their rounds."""
    by_settings = {row.settings: row for row in rows if row.ranked_rate}
    found = race.Race({one: rounds_of(row) for one, row in by_settings.items()})
    return [by_settings[one] for one in found.order(found.rates)]


def rounds_of(row: Measured) -> dict[int, float]:
    """The rate of each round."""
    return dict(row.rounds) or {row.number: row.ranked_rate}


def size(row: Measured) -> tuple[float, ...]:
    """What a setting takes, simplest first: workers, workers that are kept, the queue, an explicit start method, pinned
    memory, bytes."""
    settings = row.settings
    explicit = (settings.persistent_workers, settings.prefetched, settings.multiprocessing_context is not None)
    return (settings.num_workers, *explicit, settings.pin_memory, float(row.pss_bytes or 0))


def slower(row: Measured, other: Measured) -> bool:
    """Whether `other` is faster as far as the measurements show."""
    return other.ranked_rate > row.ranked_rate and not race.tied(rounds_of(row), rounds_of(other))


def beaten(row: Measured, other: Measured) -> bool:
    """Whether `other` is faster, waits no longer, and needs no more memory."""
    stalls = [1.0 if one.stall_fraction is None else one.stall_fraction for one in (row, other)]
    return slower(row, other) and stalls[1] <= stalls[0] and (other.pss_bytes or 0) <= (row.pss_bytes or 0)


def choose(rows: Sequence[Measured], stall_bound: float) -> Answer:
    """The answer; settings that reorder samples or change from run to run are offered apart, never as the answer."""
    order = ranked(rows)
    strict = [row for row in order if row.verdict in STRICT]
    provisional = not strict and not any(row.verdict for row in rows)
    usable = [row for row in order if row.settings.in_order] if provisional else strict
    confirmed = [row for row in usable if len(rounds_of(row)) >= min(CONFIRMED, most_rounds(usable))]
    near = [row for row in confirmed if race.near(rounds_of(row), rounds_of(confirmed[0]))]
    best = min(near or confirmed, key=size, default=None)
    enough = [row for row in usable if row.stall_fraction is not None and row.stall_fraction <= stall_bound]
    return Answer(
        best=best,
        provisional=provisional and best is not None,
        tied=[row for row in usable if row is not best and not slower(row, usable[0])],
        smallest=min(enough, key=size) if enough else None,
        reordered=faster_in_another_order([row for row in order if row.verdict], best),
        repeated=faster_with_repeated_draws(rows, best),
        pareto=[row for row in usable if not any(beaten(row, other) for other in usable)],
        refused=[row for row in rows if row.status != "ok"],
    )


def most_rounds(rows: Sequence[Measured]) -> int:
    """The rounds of the row that has most."""
    return max((len(rounds_of(row)) for row in rows), default=0)


def faster_in_another_order(order: Sequence[Measured], best: Measured | None) -> Measured | None:
    """The fastest row that changes the order and is faster than the best one; without a best, the fastest."""
    loose = (row for row in order if row.verdict not in STRICT)
    if best is None:
        return next(loose, None)
    return next((row for row in loose if slower(best, row)), None)


def faster_with_repeated_draws(rows: Sequence[Measured], best: Measured | None) -> Measured | None:
    """The fastest row whose random draws repeat, where it is faster than the best one: never an answer, but named."""
    found = [row for row in rows if row.verdict == REPEATED and row.epoch_rate]
    fastest = max(found, key=lambda row: row.epoch_rate or 0.0, default=None)
    if fastest is None or (best is not None and (fastest.epoch_rate or 0.0) < best.ranked_rate):
        return None
    return fastest


def sentence(row: Measured) -> str:
    """One row in one line: settings, samples per second, stall, data and how much of them was read, memory."""
    parts = [f"{wording.count(row.ranked_rate)} samples/s"]
    if row.stall_fraction is not None and row.step:
        parts.append(f"stall {wording.percent(row.stall_fraction)} at a step of {wording.seconds(row.step)}")
    parts += [data(row), wording.size(row.pss_bytes)]
    return f"DataLoader({row.settings.text}): {', '.join(parts)}"


def data(row: Measured) -> str:
    """How the data compare with those of num_workers=0, and from how many samples that is known.

    >>> data(Measured("digits", {}, verdict="bitwise same", verdict_samples=64, length=1797))
    'same data as num_workers=0 in the first 64 of 1,797 samples of 2 epochs'
    """
    if not row.verdict:
        return "data not compared"
    words = {
        SAME: "same data as num_workers=0",
        BATCHES: "same samples as num_workers=0 in other batches",
        AUGMENTATION: "same samples in the same order as num_workers=0, other augmentation",
    }.get(row.verdict, f"{row.verdict} against num_workers=0")
    if row.verdict_samples is None:
        return words
    if row.verdict_whole:
        return f"{words} in all {wording.count(row.verdict_samples)} samples of 2 epochs"
    whole = f" of {wording.count(row.length)}" if row.length else ""
    return f"{words} in the first {wording.count(row.verdict_samples)}{whole} samples of 2 epochs"
