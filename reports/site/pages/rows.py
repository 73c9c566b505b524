"""The table of all measured rows of a loss, and the same as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.record.frames import COLUMNS as COLUMNS_READ
from reports.site import kept
from reports.site.cells import body
from reports.site.view import Cell, Table, compare_command, number
from reports.statistics.comparison import why_unranked
from reports.statistics.ranking import Ranking, Row

COLUMNS = (
    ("Implementation", "one way to compute the loss"),
    ("Rank", "within the same shape, dtype and mode; statistically tied rows share a rank"),
    ("Shape", "of the input"),
    ("Dtype", "of the input"),
    ("Mode", "forward: without gradient; step: forward and backward; reuse: a step with kept memory"),
    ("Time", "per call, over the rounds of the session"),
    (wording.INTERVAL, "for the time that another session of as many rounds measures"),
    ("Rounds", "fresh processes that timed the row undisturbed"),
    ("Throughput", "necessary traffic over time"),
    ("Ceiling", "share of the bandwidth that the same process measured for a copy or a read"),
    ("Value error", "largest distance from the float64 reference"),
    ("Gradient error", "largest distance from the float64 reference"),
    ("Peak", "memory allocated during the call"),
    ("Saved", "kept between forward and backward"),
    ("Details", "how it was measured, and how to measure it again"),
)
RAW = [name for name in COLUMNS_READ if name not in ("benchmark", "params", "version", "python")]
GREYED = "greyed"


def table(found: Iterable[Ranking], caption: str) -> Table:
    """The rows of the cases, each case's ranked rows first."""
    cases = list(found)
    made = kept.text(("rows", [one.rows for one in cases]), lambda: body(row for one in cases for row in _case(one)))
    return Table(caption, COLUMNS, body=made)


def _case(one: Ranking) -> list[list[Cell]]:
    shared = Counter(row["rank"] for row in one.ranked)
    return [_row(row, shared[row["rank"]] > 1, place == 0) for place, row in enumerate(one.rows)]


def _row(row: Row, tied: bool, starts: bool) -> list[Cell]:
    kinds = ["new-case"] * starts + [GREYED] * (row["status"] == "disturbed" or not row["session"])
    return [
        Cell(str(row["implementation"]), chip=str(row["implementation"]), kind=" ".join(kinds)),
        rank_cell(row["rank"], tied, str(row["status"]), why_unranked(row)),
        Cell(wording.shape(row["shape"]), sort=row["elements"]),
        Cell(str(row["dtype"])),
        Cell(str(row["mode"])),
        number(row["value"], wording.seconds),
        Cell(_interval(row), sort=row["low"] if wording.known(row["low"]) else None),
        Cell(str(len(times)) if (times := by_round(row)) else wording.NOTHING, sort=len(times)),
        number(row["rate"], wording.rate),
        number(row["share"], wording.percent, bar=True),
        number(row["value_ulp"], wording.ulp),
        number(row["grad_ulp"], wording.ulp),
        number(row["peak_bytes"], wording.size),
        number(row["saved_bytes"], wording.size),
        Cell(_summary(row), more=_more(row)),
    ]


def _interval(row: Row) -> str:
    if not wording.known(row["value"]):
        return wording.NOTHING
    return wording.interval(row["value"], row["low"], row["high"])


def by_round(row: Row) -> dict[int, float]:
    """The times of the rounds that count; none for a row of the old protocol."""
    return row["times"] if isinstance(row["times"], dict) and row["status"] != "disturbed" else {}


def rank_cell(rank: float, tied: bool, status: str, why: str) -> Cell:
    """The rank, with `=` for a tie; a row that is not ranked has the reason in a word instead."""
    if wording.known(rank):
        return Cell(f"{rank:.0f}{' =' if tied else ''}", sort=rank, kind="first" if rank == 1 else "")
    return Cell(why, sort=1e9, kind=f"status status-{status}")


def _summary(row: Row) -> str:
    if row["status"] != "ok":
        return first_line(row["reason"]) or "no reason recorded"
    return "details"


def first_line(text: Any, limit: int = 60) -> str:
    if not isinstance(text, str) or not text.strip():
        return ""
    line = text.strip().splitlines()[0]
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _more(row: Row) -> tuple[tuple[str, str], ...]:
    """Everything recorded about how a number was measured."""
    pairs = (
        ("Reason", row["reason"]),
        ("Id", row["id"]),
        ("Again", compare_command(row)),
        ("Replay", f"lossimpl replay {row['id']}" if row["session"] and isinstance(row["id"], str) else ""),
        ("Rounds", rounds_words(row["times"])),
        ("Samples", _samples(row)),
        ("Traffic", wording.size(row["traffic"])),
        ("Ceiling", _ceiling(row)),
        ("Relative error", _relative_error(row)),
        ("Threads", f"{row['threads']:.0f}" if wording.known(row["threads"]) else ""),
        ("Disturbance", row["busy"]),
        ("Commit", row["commit"]),
        ("Session", row["session"]),
        ("Manifest", row["manifest"]),
    )
    return tuple((label, text) for label, text in pairs if isinstance(text, str) and text)


def rounds_words(times: Any) -> str:
    """The time of each round in order.

    >>> rounds_words({1: 0.012, 3: 0.013})
    '12.0 ms in round 1, 13.0 ms in round 3'
    """
    if not isinstance(times, dict):
        return ""
    return ", ".join(f"{wording.seconds(time)} in round {number}" for number, time in sorted(times.items()))


def _samples(row: Row) -> str:
    """The samples of a row that one process measured."""
    samples = row["samples"]
    calls = f" of {row['number']:.0f} calls each" if wording.known(row["number"]) else ""
    return f"{len(samples)}{calls} in one process, stopped by {row['stop']}" if isinstance(samples, tuple) else ""


def _ceiling(row: Row) -> str:
    if not wording.known(row["ceiling"]):
        return ""
    share = wording.NOTHING
    if wording.known(row["share_low"]):
        share = f"{wording.percent(row['share_low'])} to {wording.percent(row['share_high'])}"
    return f"{wording.rate(row['ceiling'])}, {row['ceiling_name']}, working set in {row['level']}; share {share}"


def _relative_error(row: Row) -> str:
    errors = {"value": row["value_max_rel"], "gradient": row["grad_max_rel"]}
    return ", ".join(f"{name} {wording.error(error)}" for name, error in errors.items() if wording.known(error))


def csv(rows: Sequence[Row]) -> str:
    """The raw rows, one line each: seconds, bytes, and the time and the ceiling of every round."""
    return str(pd.DataFrame(list(rows)).reindex(columns=RAW).to_csv(index=False))
