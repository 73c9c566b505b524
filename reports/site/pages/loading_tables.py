"""The tables of the loading page: every configuration, what each argument changes, and the known failures."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lossimpl import wording
from lossimpl.loading.diagnosis.known_failures import KNOWN
from reports.site.pages.rows import first_line, rank_cell
from reports.site.view import Cell, Table, number
from reports.statistics.loading import label

CONFIGURATIONS = (
    ("Settings", "arguments of DataLoader that differ from its defaults"),
    ("Rank", "statistically tied settings share a rank; wrong data has none"),
    ("Samples/s", "median over an epoch, with the wait at its start"),
    (wording.INTERVAL, "of the median"),
    ("Stall", "share of the time that training waits for data, at the stated step time"),
    ("Data", "compared with num_workers=0"),
    ("Memory", "proportional set size of the process tree"),
    ("First batch", "from iter() to the first batch"),
    ("Wait p99", "99 of 100 batches arrived sooner"),
    ("CPU", "cores in use, on average"),
    ("Reason", "what went wrong, and what to do"),
)
ARGUMENTS = (
    ("Argument", "one at a time"),
    ("Settings", ""),
    ("Data", "compared with num_workers=0"),
    ("Why", ""),
    ("What to do", ""),
)
SOURCE = ["dataset", "machine", "env", "commit"]
FAILURES = (("Cause", ""), ("Status", ""), ("What to do", ""))


def configurations(dataset: str, ordered: pd.DataFrame) -> Table:
    ties = ordered.groupby("rank")["rate"].transform("size") > 1
    cells = [_configuration(row, bool(tied)) for (_, row), tied in zip(ordered.iterrows(), ties, strict=True)]
    return Table(f"Settings tried on {dataset}", CONFIGURATIONS, cells)


def _configuration(row: pd.Series, tied: bool) -> list[Cell]:
    waits = row["batch_seconds"] if isinstance(row["batch_seconds"], dict) else {}
    why = [first_line(row[name], 160).rstrip(".") for name in ("reason", "advice")]
    return [
        Cell(row["label"]),
        rank_cell(row["rank"], tied, str(row["status"]), "not ranked" if row["status"] == "ok" else str(row["status"])),
        number(row["rate"], wording.count),
        number(row["rate_low"], lambda low: _bounds(low, row["rate_high"])),
        number(row["stall_fraction"], wording.percent),
        Cell(row["verdict"] if isinstance(row["verdict"], str) else wording.NOTHING),
        number(row["pss_bytes"], wording.size),
        number(row["first_batch_seconds"], wording.seconds),
        number(waits.get("p99"), wording.seconds),
        number(row["cpu_cores"], lambda cores: f"{cores:.1f} cores" if wording.known(cores) else wording.NOTHING),
        Cell(". ".join(filter(None, why)), kind="long"),
    ]


def _bounds(low: Any, high: Any) -> str:
    if not (wording.known(low) and wording.known(high)):
        return wording.NOTHING
    return f"{wording.count(low)} to {wording.count(high)}"


def arguments(loaders: pd.DataFrame, source: pd.Series) -> Table | None:
    """What each argument of DataLoader changes on the dataset, machine, environment and commit of `source`.

    None if `lossimpl loaders` has not tried them there.
    """
    if loaders.empty or not {"kind", "argument"} <= set(loaders.columns):
        return None
    same = (loaders[SOURCE] == source[SOURCE]).all(axis=1)
    rows = loaders[(loaders["kind"] == "argument") & same].drop_duplicates("argument", keep="last")
    if rows.empty:
        return None
    return Table(
        f"What each argument changes on {source['dataset']}", ARGUMENTS, [_argument(row) for _, row in rows.iterrows()]
    )


def _argument(row: pd.Series) -> list[Cell]:
    verdict = row.get("verdict") if isinstance(row.get("verdict"), str) else row["status"]
    why = first_line(row.get("verdict_reason"), 160) or first_line(row.get("reason"), 160)
    return [
        Cell(str(row["argument"])),
        Cell(label(row)),
        Cell(str(verdict), kind="" if verdict == "bitwise same" else "fail"),
        Cell(why, kind="long"),
        Cell(first_line(row.get("advice"), 240), kind="long"),
    ]


def failures() -> Table:
    """Every failure that lossimpl recognises by its message."""
    cells = [[Cell(one.cause, kind="long"), Cell(one.status), Cell(one.advice, kind="long")] for one in KNOWN]
    return Table("Known failures", FAILURES, cells)
