"""The end of a sweep in the terminal: the loaders, rows that were not ranked, and whether the machine was busy.

The losses are ranked when the site is built.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from statistics import median
from typing import Any

from rich import box
from rich.table import Table

from lossimpl import wording
from reports.record.rows import LOADING_PARAMETERS

Record = dict[str, Any]


def loaders(records: Iterable[Record]) -> Table:
    """The fastest settings for each dataset."""
    table = Table("dataset", "fastest settings", "samples/s", title="Fastest loader settings", box=box.SIMPLE_HEAD)
    measured = [one for one in records if one.get("samples_per_second") and one["status"] == "ok"]
    for dataset, group in itertools.groupby(sorted(measured, key=dataset_of), key=dataset_of):
        best = max(group, key=lambda one: median(one["samples_per_second"]))
        settings = ", ".join(f"{name}={best['scenario'][name]}" for name in LOADING_PARAMETERS[1:])
        table.add_row(dataset, settings, wording.count(median(best["samples_per_second"])))
    return table


def dataset_of(record: Record) -> str:
    """The dataset of a loader's record."""
    return str(record["dataset"])


def disturbed(records: Iterable[Record]) -> str:
    """A warning if the machine was busy during any row, with the first row's reason; else nothing."""
    known = [one["busy"] for one in records if "busy" in one]
    warnings = [words for words in known if words]
    if not warnings:
        return ""
    return f"busy: {len(warnings)} of {len(known)} rows were disturbed (first: {warnings[0]}); see `lossimpl doctor`"


def not_ranked(records: Iterable[Record]) -> list[str]:
    """One line per row that was wrong, impossible or failed, with the reason."""
    bad = [one for one in records if one["status"] not in ("ok", "unavailable", "skipped", "invalid")]
    return [f"{one['status']}: {one['benchmark']} {' '.join(one['params'])}: {one['reason']}" for one in bad]
