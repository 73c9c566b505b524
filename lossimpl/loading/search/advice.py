"""What else a user should know: the limits of what was measured, resources that will run out, what is slow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lossimpl import wording
from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.search.measured import Measured

LONG_EPOCH = 60.0  # seconds, from which the time of an epoch is worth a line
LONG_BUILD = 1.0
SLOW_TIMES, SLOW_SECONDS = 3.0, 0.005  # times the mean, and at least so long: a sample that is named as slow
OFTEN_BUSY = 0.25  # of the rows


def scope(best: Measured) -> Iterator[str]:
    """What was measured of a large dataset, and how long an epoch of all of it takes."""
    if best.epoch_samples and best.length:
        timed, whole = wording.count(best.epoch_samples), wording.count(best.length)
        yield f"Measured on epochs of {timed} of the {whole} samples"
    if best.length and best.ranked_rate and (spent := best.length / best.ranked_rate) > LONG_EPOCH:
        yield f"At this rate an epoch of {wording.count(best.length)} samples takes {duration(spent)}"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(90), duration(7200), duration(20)
    ('1 min 30 s', '2 h 0 min', '20 s')
    """
    minutes, left = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{left} s"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min {left} s"


def still_bound(best: Measured, seen: Inspection, bound: float) -> str:
    """That training waits for data even with the best settings, and what each sample costs; empty where it does not."""
    if best.stall_fraction is None or best.stall_fraction <= bound or not seen.cost:
        return ""
    cost = seen.cost
    parts = {"dataset": cost.dataset, "transform": cost.transform, "collate": cost.collate}
    parts |= {"transfer between processes": seen.between or 0.0} if best.settings.num_workers else {}
    name, most = max(parts.items(), key=lambda one: one[1])
    return (
        f"Still data-bound: training would wait for data {wording.percent(best.stall_fraction)} of the time; most of a "
        f"batch goes to the {name} ({wording.seconds(most)})"
    )


def of_inspection(seen: Inspection) -> Iterator[str]:
    """A slow construction and slow samples."""
    if seen.built_seconds > LONG_BUILD:
        yield f"Constructing the dataset takes {wording.seconds(seen.built_seconds)} in each fresh process"
    if seen.cost and seen.cost.slowest:
        usual = seen.cost.sample_seconds
        slow = [(number, spent) for number, spent in seen.cost.slowest if spent > max(SLOW_SECONDS, SLOW_TIMES * usual)]
        if slow:
            named = ", ".join(f"number {number} with {wording.seconds(spent)}" for number, spent in slow)
            yield f"Slowest of the samples that were read first: {named}; the mean is {wording.seconds(usual)}"


def of_rows(best: Measured | None, rows: Sequence[Measured]) -> Iterator[str]:
    """What the chosen settings will run out of, what their data warn of, and busy neighbours during the search."""
    if best is not None:
        yield from best.warnings
        yield from best.notes
        if best.pss_growth_bytes and best.pss_bytes and best.pss_growth_bytes > 0.2 * best.pss_bytes:
            yield f"memory grew by {wording.size(best.pss_growth_bytes)} while these settings were measured"
        yield from (f"{one['check']}: {one['what']}; {one['advice']}" for one in best.findings)
    busy = [row.busy for row in rows if row.busy]
    if rows and len(busy) > OFTEN_BUSY * len(rows):
        yield f"busy machine: in {len(busy)} of {len(rows)} measurements {busy[len(busy) // 2]}; rates may be higher"
