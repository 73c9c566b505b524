"""The rows of one case, ranked: paired ratios, what could not be ranked and why, as a table that fits the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lossimpl import wording
from lossimpl.ranking import FEWEST_ROUNDS, Interval, over_rounds, paired, paired_ranks

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from lossimpl.row import Row

TRIAL = 0  # the number of the round in which an implementation ran alone, once: no replicate
NARROW, WIDE, WIDEST = 78, 118, 140  # columns of the terminal from which on more is shown
TIME, SLOWER, TORCH = "time (95 % interval)", "slower (95 % interval)", "vs torch (95 % interval)"


class Ranked(NamedTuple):
    """A correct row with its rank, its time, and its paired ratios; tied rows share a rank.

    `slower` is how many times as long as the fastest it takes, `torch` how many times as long as it torch takes; None
    where the two share no round. An interval of fewer than four rounds has NaN as its ends.
    """

    rank: int
    row: Row
    time: Interval
    slower: Interval | None
    torch: Interval | None
    share: Interval


def ranked(rows: Sequence[Row]) -> list[Ranked]:
    """The correct rows that rounds measured without too much disturbance, fastest first."""
    timed = [row for row in rows if row.status == "ok" and row.times and not is_capped(row)]
    timed.sort(key=lambda row: over_rounds([*row.times.values()]).value)
    torch = next((row.times for row in timed if row.implementation == "torch"), {})
    ranks = paired_ranks([row.times for row in timed])
    return [
        Ranked(
            rank,
            row,
            over_rounds([*row.times.values()]),
            paired(row.times, timed[0].times),
            paired(torch, row.times),
            over_rounds([*row.shares.values()]),
        )
        for rank, row in zip(ranks, timed, strict=True)
    ]


def is_capped(row: Row) -> bool:
    """Whether the implementation was so far behind that it ran alone for a few calls, and in no round."""
    return row.status == "ok" and [one.number for one in row.rounds] == [TRIAL]


def sentence(timed: Sequence[Ranked]) -> str:
    """What to run."""
    if not timed:
        return "No implementation could be ranked."
    rounds = len(timed[0].row.times)
    if rounds < FEWEST_ROUNDS:
        return f"{timed[0].row.implementation} took least, but {rounds} rounds support no interval, so no rank."
    return f"{wording.fastest([one.row.implementation for one in timed if one.rank == 1])}."


def unranked(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Of each row that is not ranked: its implementation, its status, and the reason or the doubtful time."""
    found = []
    for row in rows:
        if is_capped(row):
            found.append((row.implementation, "far behind", row.reason))
        elif row.status == "disturbed":
            time = wording.seconds(over_rounds([*row.times.values()]).value)
            found.append((row.implementation, row.status, f"about {time}"))
        elif row.status != "ok":
            found.append((row.implementation, row.status, row.reason))
    return found


def table(timed: Sequence[Ranked], title: str, width: int) -> Table:
    """The ranked table; a narrow terminal gets fewer columns, and the intervals of ratios only."""
    from rich import box
    from rich.table import Table

    found = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    columns = headings(width)
    for heading in columns:
        found.add_column(heading, justify="left" if heading == "implementation" else "right", no_wrap=True)
    for one in timed:
        known = cells(one)
        found.add_row(*(known[heading] for heading in columns))
    return found


def headings(width: int) -> list[str]:
    """The columns that fit."""
    found = ["", "implementation", "time", SLOWER]
    if width < NARROW:
        return found
    if width < WIDE:
        return [*found, "vs torch", "ceiling", "error"]
    found = [*found, TORCH, "ceiling", "error", "peak", "saved"]
    return found if width < WIDEST else [TIME if name == "time" else name for name in found]


def cells(one: Ranked) -> dict[str, str]:
    """What the row shows under each heading."""
    agreement = one.row.agreement or {}
    worst = max(agreement.get("value_max_rel") or 0.0, agreement.get("grad_max_rel") or 0.0)
    time = wording.seconds(one.time.value)
    return {
        "": str(one.rank),
        "implementation": one.row.implementation,
        "time": time,
        TIME: f"{time} ({wording.interval(*one.time)})",
        SLOWER: "fastest" if one.slower == (1, 1, 1) else times(one.slower),
        "vs torch": wording.times(one.torch and one.torch.value),
        TORCH: times(one.torch),
        "ceiling": wording.percent(one.share.value),
        "error": wording.error(worst if agreement else None),
        "peak": wording.size(one.row.peak_bytes),
        "saved": wording.size(one.row.saved_bytes),
    }


def times(ratio: Interval | None) -> str:
    """A paired ratio with its interval, if its rounds support one.

    >>> times(Interval(3.456, 3.4, 3.512)), times(Interval(3.456, math.nan, math.nan)), times(None)
    ('3.46× (3.40 to 3.51×)', '3.46× (no interval)', '–')
    """
    if ratio is None:
        return wording.NOTHING
    if ratio.low == ratio.high:
        return wording.times(ratio.value)
    if math.isnan(ratio.low):
        return f"{wording.times(ratio.value)} (no interval)"
    return wording.times_interval(*ratio)


def rendered(rows: Sequence[Row], title: str, width: int) -> list[RenderableType]:
    """The table, the ceiling, what is not ranked, and the result in a sentence: what a console prints, one by one."""
    from rich.text import Text

    timed = ranked(rows)
    found: list[RenderableType] = [table(timed, title, width)] if timed else [Text(title, style="italic")]
    if timed:
        row, rates = timed[0].row, [one.ceiling for one in timed[0].row.rounds if one.number in timed[0].row.times]
        rate = wording.rate(over_rounds(rates).value)
        found.append(Text(f"{len(rates)} rounds; ceiling: {row.ceiling_name} at {rate} in {row.level}"))
    for name, status, reason in unranked(rows):
        found.append(Text.assemble(f"  {name}: ", (status, "yellow"), f", {reason}" if reason else ""))
    if reason := next((row.reason for row in rows if row.status == "disturbed"), ""):
        found.append(Text(f"Disturbed times are not ranked: {reason}."))
    found.append(Text(sentence(timed), style="bold"))
    return found


LEGEND = (
    "slower: than the fastest. vs torch: torch's time over this one's. Both are ratios within rounds; implementations "
    "share a rank where the interval holds 1. ceiling: share of the bandwidth of a copy or a read. error: largest "
    "relative error of value or gradient against float64. peak, saved: bytes allocated in a call, kept for backward."
)
