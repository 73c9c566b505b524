"""The end of a sweep in the terminal: for each loss and shape, who is fastest, by how much, and how near the limit."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from statistics import median
from typing import Any

from rich.table import Table

Rows = list[dict[str, Any]]


def groups(rows: Iterable[dict[str, Any]]) -> list[Rows]:
    """The rows of losses by case: loss, shape, dtype, device and mode, in a fixed order."""

    def case(row: dict[str, Any]) -> tuple[str, ...]:
        return tuple(row[name] for name in ("loss", "shape", "dtype", "device", "mode"))

    ordered = sorted((row for row in rows if "loss" in row), key=case)
    return [list(group) for _, group in itertools.groupby(ordered, key=case)]


def best(group: Rows) -> Rows:
    """The rows of a case that may be ranked, the fastest first."""
    return sorted((row for row in group if row["status"] == "ok"), key=lambda row: median(row["samples"]))


def duration(seconds: float) -> str:
    """Seconds with a unit that fits.

    >>> duration(0.00123)
    '1.23 ms'
    """
    scale, unit = next(((s, u) for s, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")) if seconds >= s), (1e-9, "ns"))
    return f"{seconds / scale:.3g} {unit}"


def against_torch(ranked: Rows) -> str:
    """How many times faster the fastest is than torch's own, where there is one."""
    own = [median(row["samples"]) for row in ranked if row["implementation"] == "torch"]
    return f"{own[0] / median(ranked[0]['samples']):.2f}x" if own else "-"


def table(rows: Iterable[dict[str, Any]]) -> Table:
    """One line for each case that was measured."""
    shown = Table("loss", "case", "fastest", "time", "of ceiling", "vs torch", title="Fastest implementation by case")
    for group in groups(rows):
        ranked = best(group)
        if not ranked:
            continue
        first = ranked[0]
        case = " ".join(first[name] for name in ("shape", "dtype", "device", "mode"))
        share = f"{first['share']:.0%}" if first["share"] is not None else "-"
        time = duration(median(first["samples"]))
        shown.add_row(first["loss"], case, first["implementation"], time, share, against_torch(ranked))
    return shown


def not_ranked(rows: Iterable[dict[str, Any]]) -> list[str]:
    """A line for each row that was wrong, impossible or broken, with the reason."""
    bad = [row for row in rows if row.get("status") not in ("ok", "unavailable", "skipped", "invalid")]
    return [f"{row['status']}: {row['benchmark']} {' '.join(row['params'])}: {row['reason']}" for row in bad]
