"""The end of a sweep in the terminal: for each loss who is fastest, by how much, and how near the limit; then loaders.

One line a loss and device: the training step that moves the most bytes. The site has all the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from rich import box
from rich.table import Table

Row = dict[str, Any]


def case(row: Row) -> tuple[Any, ...]:
    """What makes rows comparable."""
    return tuple(row[name] for name in ("loss", "device", "dtype", "shape", "mode"))


def largest_steps(rows: Iterable[Row]) -> list[list[Row]]:
    """For each loss and device the rows of the largest float32 step, the fastest first."""
    steps = [r for r in rows if r.get("mode") == "step" and r["dtype"] == "float32" and r["status"] == "ok"]
    found = []
    for _, group in itertools.groupby(sorted(steps, key=case), key=lambda row: case(row)[:2]):
        members = list(group)
        most = max(members, key=lambda row: int(row["traffic"]))
        found.append(sorted((r for r in members if case(r) == case(most)), key=lambda r: median(r["samples"])))
    return found


def duration(seconds: float) -> str:
    """Seconds with a unit that fits.

    >>> duration(0.00123), duration(2.5e-7)
    ('1.23 ms', '250 ns')
    """
    scale, unit = next(((s, u) for s, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")) if seconds >= s), (1e-9, "ns"))
    return f"{seconds / scale:.3g} {unit}"


def against_torch(ranked: Sequence[Row]) -> str:
    """How many times faster the fastest is than torch's own, where there is one."""
    own = [median(row["samples"]) for row in ranked if row["implementation"] == "torch"]
    return f"{own[0] / median(ranked[0]['samples']):.2f}x" if own else "-"


def losses(rows: Iterable[Row], order: Sequence[str]) -> Table:
    """The fastest implementation of each loss."""
    title = "Fastest implementation of the largest float32 training step"
    table = Table("loss", "case", "fastest", "time", "of ceiling", "vs torch", title=title, box=box.SIMPLE_HEAD)
    for ranked in sorted(largest_steps(rows), key=lambda ranked: order.index(ranked[0]["loss"])):
        first = ranked[0]
        table.add_row(
            first["loss"],
            f"{first['shape']} {first['device']}",
            first["implementation"],
            duration(median(first["samples"])),
            f"{first['share']:.0%}",
            against_torch(ranked),
        )
    return table


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
