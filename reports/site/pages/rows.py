"""The table of all measured rows of a loss, and the same as CSV."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lossimpl import wording
from reports.record.reader import COLUMNS as COLUMNS_READ
from reports.site.view import Cell, Table, compare_command, number
from reports.statistics.ranking import CASE, ranked

COLUMNS = (
    ("Implementation", "one way to compute the loss"),
    ("Rank", "within the same shape, dtype and mode; statistically tied rows share a rank"),
    ("Shape", "of the input"),
    ("Dtype", "of the input"),
    ("Mode", "forward: without gradient; step: forward and backward"),
    ("Median", "time per call"),
    (wording.INTERVAL, "of the median"),
    ("Throughput", "necessary traffic over time"),
    ("Ceiling", "share of the bandwidth that the same process measured for a copy or a read"),
    ("Value error", "largest distance from the float64 reference"),
    ("Gradient error", "largest distance from the float64 reference"),
    ("Peak", "memory allocated during the call"),
    ("Saved", "kept between forward and backward"),
    ("Details", "how it was measured, and how to measure it again"),
)
RAW = [name for name in COLUMNS_READ if name not in ("benchmark", "params", "version", "python")]


def ranked_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of each case ranked, the largest cases first within a mode and dtype."""
    if rows.empty:
        return rows.assign(rank=float("nan"))
    keys = {"other": rows["dtype"] != "float32", "mode": rows["mode"] != "step", "size": -rows["elements"]}
    places = rows.assign(**keys).sort_values(["other", "dtype", "mode", "size"], kind="stable").index
    order = rows.loc[places]
    return pd.concat([ranked(case) for _, case in order.groupby(CASE, sort=False)])


def table(rows: pd.DataFrame, caption: str) -> Table:
    ordered = ranked_rows(rows)
    ties = ordered.groupby([*CASE, "rank"])["value"].transform("size") > 1
    starts = ~ordered.duplicated(CASE)
    listed = zip(ordered.iterrows(), ties, starts, strict=True)
    return Table(caption, COLUMNS, [_row(row, bool(tied), bool(start)) for (_, row), tied, start in listed])


def _row(row: pd.Series, tied: bool, starts: bool) -> list[Cell]:
    return [
        Cell(str(row["implementation"]), chip=str(row["implementation"]), kind="new-case" if starts else ""),
        rank_cell(row, tied),
        Cell(wording.shape(row["shape"]), sort=row["elements"]),
        Cell(str(row["dtype"])),
        Cell(str(row["mode"])),
        number(row["value"], wording.seconds),
        number(row["low"], lambda low: wording.interval(row["value"], low, row["high"])),
        number(row["rate"], wording.rate),
        number(row["share"], wording.percent, bar=True),
        number(row["value_ulp"], wording.ulp),
        number(row["grad_ulp"], wording.ulp),
        number(row["peak_bytes"], wording.size),
        number(row["saved_bytes"], wording.size),
        Cell(_summary(row), more=_more(row)),
    ]


def rank_cell(row: pd.Series, tied: bool) -> Cell:
    """The rank, with `=` for a tie; a row that is not ranked has its status instead."""
    if wording.known(row["rank"]):
        return Cell(
            f"{row['rank']:.0f}{' =' if tied else ''}", sort=row["rank"], kind="first" if row["rank"] == 1 else ""
        )
    word = "not ranked" if row["status"] == "ok" else str(row["status"])
    return Cell(word, sort=1e9, kind=f"status status-{row['status']}")


def _summary(row: pd.Series) -> str:
    if row["status"] != "ok":
        return first_line(row["reason"]) or "no reason recorded"
    return "details"


def first_line(text: Any, limit: int = 60) -> str:
    if not isinstance(text, str) or not text.strip():
        return ""
    line = text.strip().splitlines()[0]
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _more(row: pd.Series) -> tuple[tuple[str, str], ...]:
    """Everything recorded about how a number was measured."""
    pairs = (
        ("Reason", row["reason"]),
        ("Again", compare_command(row)),
        ("Stopped by", row["stop"]),
        ("Samples", _samples(row)),
        ("Traffic", wording.size(row["traffic"])),
        ("Ceiling", _ceiling(row)),
        ("Relative error", _relative_error(row)),
        ("Threads", f"{row['threads']:.0f}" if wording.known(row["threads"]) else ""),
        ("Disturbance", row["busy"]),
        ("Commit", row["commit"]),
        ("Manifest", row["manifest"]),
    )
    return tuple((label, text) for label, text in pairs if isinstance(text, str) and text)


def _samples(row: pd.Series) -> str:
    samples = row["samples"]
    calls = f" of {row['number']:.0f} calls each" if wording.known(row["number"]) else ""
    return f"{len(samples)}{calls}, all kept" if isinstance(samples, tuple) else ""


def _ceiling(row: pd.Series) -> str:
    if not wording.known(row["ceiling"]):
        return ""
    return f"{wording.rate(row['ceiling'])}, {row['ceiling_name']}, working set in {row['level']}"


def _relative_error(row: pd.Series) -> str:
    errors = {"value": row["value_max_rel"], "gradient": row["grad_max_rel"]}
    return ", ".join(f"{name} {wording.error(error)}" for name, error in errors.items() if wording.known(error))


def csv(rows: pd.DataFrame) -> str:
    """The raw rows, one line each: seconds, bytes and every sample."""
    return str(rows.reindex(columns=RAW).to_csv(index=False))
