"""The end of a sweep in the terminal: the ranking first, then what is disturbed or undecided, then rows that failed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from lossimpl import wording
from lossimpl.ranking import over_rounds, paired, paired_ranks
from lossimpl.row import Row, from_record
from reports.record.rows import LOADING_PARAMETERS

Record = dict[str, Any]
QUIET_STATUSES = ("ok", "disturbed", "unavailable", "skipped", "invalid")


def show(console: Console, records: Iterable[Record]) -> None:
    """Print the summary of a session."""
    records = list(records)
    rows = [from_record(one) for one in records if "implementation" in one]
    console.print(ranking(rows))
    loading = loaders(records)
    if loading.row_count:
        console.print(loading)
    for line in (*undecided(rows), *disturbed(rows), *failed(records)):
        console.print(line, markup=False, highlight=False)


def ranking(rows: Iterable[Row]) -> Table:
    """Of each loss the largest training step: the fastest, its time, and the next one's time over it."""
    table = Table(
        "loss", "case", "fastest", "time", "against the next", title="Fastest implementations", box=box.SIMPLE_HEAD
    )
    cases: dict[str, list[Row]] = {}
    for case in by_case(row for row in rows if row.status == "ok" and row.mode == "step" and row.dtype == "float32"):
        if len(case) > 1 and size(case[0]) >= size(cases.get(case[0].loss, [case[0]])[0]):
            cases[case[0].loss] = case
    for loss, case in cases.items():
        table.add_row(loss, case[0].shape, *standing(case))
    return table


def standing(case: list[Row]) -> list[str]:
    """The fastest implementations of a case, the time of the first, and its distance to the next slower one."""
    ranks = paired_ranks([row.times for row in case])
    ordered = [row for _, row in sorted(zip(ranks, case, strict=True), key=lambda one: one[0])]
    first, slower = ordered[0], [row for rank, row in zip(sorted(ranks), ordered, strict=True) if rank > 1]
    names = wording.names([row.implementation for rank, row in zip(sorted(ranks), ordered, strict=True) if rank == 1])
    ratio = paired(slower[0].times, first.times) if slower else None
    against = f"{wording.times_interval(*ratio)} {slower[0].implementation}" if ratio else "statistically tied"
    return [names, wording.seconds(over_rounds([*first.times.values()]).value), against]


def by_case(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows grouped by their case."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.loss, row.shape, row.dtype, row.device, row.mode), []).append(row)
    yield from groups.values()


def size(row: Row) -> int:
    """The traffic of the row's case, by which cases of one loss are ordered."""
    return row.traffic


def undecided(rows: Iterable[Row]) -> Iterator[str]:
    """How many rows lack the rounds for an interval."""
    rows = [row for row in rows if row.status == "ok"]
    few = [row for row in rows if not wording.known(over_rounds([*row.times.values()]).low)]
    if few:
        yield f"undecided: {len(few)} of {len(rows)} rows have too few rounds for an interval"


def disturbed(rows: Iterable[Row]) -> Iterator[str]:
    """How many rows were disturbed, and how the first one was."""
    rows = list(rows)
    busy = [row for row in rows if row.status == "disturbed"]
    if busy:
        yield f"disturbed: {len(busy)} of {len(rows)} rows, which are not ranked (first: {busy[0].reason})"


def failed(records: Iterable[Record]) -> Iterator[str]:
    """One line per row that was wrong, impossible or failed, with the reason."""
    for one in records:
        if one["status"] not in QUIET_STATUSES:
            yield f"{one['status']}: {one['benchmark']} {' '.join(one['params'])}: {one['reason']}"


def loaders(records: Iterable[Record]) -> Table:
    """The fastest settings for each dataset."""
    table = Table("dataset", "fastest settings", "samples/s", title="Fastest loader settings", box=box.SIMPLE_HEAD)
    timed = [one for one in records if one.get("samples_per_second") and one["status"] == "ok"]
    for dataset, group in itertools.groupby(sorted(timed, key=dataset_of), key=dataset_of):
        best = max(group, key=lambda one: median(one["samples_per_second"]))
        settings = ", ".join(f"{name}={best['scenario'][name]}" for name in LOADING_PARAMETERS[1:])
        table.add_row(dataset, settings, wording.count(median(best["samples_per_second"])))
    return table


def dataset_of(record: Record) -> str:
    """The dataset of a loader's record."""
    return str(record["dataset"])
