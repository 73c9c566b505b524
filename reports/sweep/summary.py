"""The end of a sweep in the terminal: the loaders, what was not ranked and why, and whether the machine was busy.

The losses are ranked where the site is built, which knows ties.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from statistics import median
from typing import Any

from rich import box
from rich.table import Table

Row = dict[str, Any]


def loaders(rows: Iterable[Row]) -> Table:
    """The settings with which each dataset comes fastest."""
    table = Table("dataset", "fastest settings", "samples/s", title="Fastest loader settings", box=box.SIMPLE_HEAD)
    measured = [row for row in rows if row.get("samples_per_second") and row["status"] == "ok"]
    for dataset, group in itertools.groupby(sorted(measured, key=dataset_of), key=dataset_of):
        best = max(group, key=lambda row: median(row["samples_per_second"]))
        settings = [f"{name}={best['scenario'][name]}" for name in ("num_workers", "pin_memory", "batch_size")]
        table.add_row(dataset, ", ".join(settings), f"{median(best['samples_per_second']):.0f}")
    return table


def dataset_of(row: Row) -> str:
    """Which dataset a loading row is about."""
    return str(row["dataset"])


def disturbed(rows: Iterable[Row]) -> str:
    """A warning if the machine was busy while it measured, with the first of the rows' own; else nothing."""
    known = [row["busy"] for row in rows if "busy" in row]
    warnings = [words for words in known if words]
    if not warnings:
        return ""
    return f"busy: {len(warnings)} of {len(known)} rows were disturbed (such as: {warnings[0]}); see `lossimpl doctor`"


def not_ranked(rows: Iterable[Row]) -> list[str]:
    """A line for each row that was wrong, impossible or broken, with the reason."""
    bad = [row for row in rows if row["status"] not in ("ok", "unavailable", "skipped", "invalid")]
    return [f"{row['status']}: {row['benchmark']} {' '.join(row['params'])}: {row['reason']}" for row in bad]
