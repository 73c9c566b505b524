"""Named hard cases by implementation: counts first, then one page per loss whose cells open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from lossimpl import wording
from reports.record.schema import Record
from reports.site.conditions import of_commits
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.view import Cell, Page, Table, slug

FAILURES = (
    ("Case", ""), ("Implementation", ""), ("Where", "dtype and device"), ("Reason", ""), ("Expected", ""), ("Got", ""),
    ("Source", "of the expected value"),
)  # fmt: skip
MARKS = {"fail": "✗", "error": "!", "unavailable": "–", "pass": "✓"}  # the worst first
CAUGHT = (("Loss", ""), ("Mutant", ""), ("Rejected by", "the first check that did"), ("Reason", ""))
SHOWN = ("dtype", "status", "input", "expected", "got", "reason", "source")


def pages(material: Material) -> list[Page]:
    cases = material.conformance
    tested = set(cases["loss"])
    losses = [name for name in dict.fromkeys([*material.losses, *sorted(tested)]) if name in tested]
    values = {
        "counts": _counts(cases, losses) if losses else None,
        "totals": totals(material),
        "conditions": of_commits(material, cases),
        "mutants": mutants(material.mutants, tested),
    }
    first = Page("conformance.html", "Conformance", "conformance.html", values)
    return [first, *(_page(material, name, cases[cases["loss"] == name]) for name in losses)]


def mutants(found: Sequence[Record], tested: set[str]) -> Table | None:
    """The check that rejected each deliberately wrong function, as `lossimpl check --mutants` stored it."""
    if not found:
        return None
    rows = [
        [
            Cell(one["loss"], link=file_name(one["loss"]) if one["loss"] in tested else None),
            Cell(one["mutant"]),
            Cell(one["by"] or "none: it survived", kind="" if one["by"] else "fail"),
            Cell("why", more=(("Reason", one["reason"]),)),
        ]
        for one in found
    ]
    counts = ", ".join(f"{count} by {by or 'none'}" for by, count in Counter(one["by"] for one in found).items())
    return Table(f"{len(found)} wrong functions, by the check that rejected them: {counts}", CAUGHT, rows)


def _names(cases: pd.DataFrame) -> list[str]:
    return in_order(set(cases["implementation"]))


def _ran(cases: pd.DataFrame) -> list[str]:
    """The implementations that could run; the pages of the losses have the others with their reasons."""
    return _names(cases[cases["status"] != "unavailable"])


def totals(material: Material) -> dict[str, Counter[str]]:
    """How many cases of each implementation had each status, over all losses, devices and dtypes."""
    cases = material.conformance
    return {name: Counter(cases.loc[cases["implementation"] == name, "status"]) for name in _ran(cases)}


def file_name(loss: str) -> str:
    return f"conformance-{slug(loss)}.html"


def _counts(cases: pd.DataFrame, losses: list[str]) -> Table:
    names = _ran(cases)
    rows = [[Cell(loss, link=file_name(loss)), *(_count(cases, loss, name) for name in names)] for loss in losses]
    return Table("Cases passed, of those that could run", (("Loss", ""), *((name, "") for name in names)), rows)


def _count(cases: pd.DataFrame, loss: str, name: str) -> Cell:
    count = Counter(cases.loc[(cases["loss"] == loss) & (cases["implementation"] == name), "status"])
    ran = count.total() - count["unavailable"]
    if not ran:
        return Cell("n/a", sort=-1)
    return Cell(f"{count['pass']} / {ran}", sort=count["pass"] / ran, kind="" if count["pass"] == ran else "fail")


def _failures(cases: pd.DataFrame) -> Table | None:
    failed = cases[cases["status"].isin(["fail", "error"])]
    if failed.empty:
        return None
    counts = Counter(failed["implementation"])
    by_name = wording.names([f"{name} fails {counts[name]} times" for name in in_order(set(counts))])
    return Table(f"Failures: {by_name}", FAILURES, list(map(_failure, failed.to_dict("records"))))


def _failure(row: dict[Any, Any]) -> list[Cell]:
    where = f"{row['dtype']} {row['device'].upper()}"
    details = [Cell(row[key], kind="long") for key in ("reason", "expected", "got", "source")]
    chip = Cell(row["implementation"], chip=row["implementation"])
    return [Cell(row["case"], kind="long"), chip, Cell(where), *details]


def _page(material: Material, loss: str, cases: pd.DataFrame) -> Page:
    devices = sorted(set(cases["device"]))
    columns = [(name, device) for device in devices for name in _names(cases[cases["device"] == device])]
    values = {
        "loss": loss,
        "failures": _failures(cases),
        "conditions": of_commits(material, cases),
        "columns": [f"{name} {device.upper()}" if len(devices) > 1 else name for name, device in columns],
        "cases": list(_cases(cases, columns)),
    }
    return Page(file_name(loss), f"Conformance of {loss}", "conformance-loss.html", values)


def _cases(cases: pd.DataFrame, columns: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Each case with one cell per column, None where it was not run."""
    found: dict[str, dict[tuple[str, str], list[dict[Any, Any]]]] = {}
    for row in cases.to_dict("records"):
        found.setdefault(row["case"], {}).setdefault((row["implementation"], row["device"]), []).append(row)
    for case, cells in found.items():
        yield {"name": case, "cells": [_cell(cells[one]) if one in cells else None for one in columns]}


def _cell(rows: list[dict[Any, Any]]) -> dict[str, Any]:
    """The worst status over dtypes, and the result of each dtype."""
    found = {row["status"] for row in rows}
    worst = next((status for status in MARKS if status in found), "error")
    return {"status": worst, "mark": MARKS[worst], "dtypes": [{key: row[key] for key in SHOWN} for row in rows]}
