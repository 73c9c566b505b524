"""When each machine was last heard from, and what became of each night: missing differs from never scheduled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from reports.site.material import Material
from reports.site.view import Cell, Page, Table

FILE = "nights.html"
MOST = 60  # nights of a machine
OUTCOMES = {
    "began": "was killed, or still runs",
    "done": "done",
    "regression": "a regression",
    "build-failed": "a commit could not be built",
    "check-failed": "a hard case fails",
    "interrupted": "interrupted",
    "unreachable": "results could not be brought or sent",
    "undecided": "the results branch needs a decision",
    "failed": "failed",
}
NIGHTS = (
    ("Began", "in UTC"), ("Ended as", ""), ("Commits", "that were to be measured"), ("Expected", "rows"),
    ("Measured", "rows with a result"), ("Disturbed", "by other processes"), ("Failed", "in an error"),
    ("Unavailable", "on this machine"), ("Never begun", "rows, with the reason"), ("Findings", "not reported before"),
    ("Remarks", "what went wrong, and events"),
)  # fmt: skip


class Heard(NamedTuple):
    """A machine, when it was last heard from (ISO 8601, UTC; empty if never), and its last night in words."""

    machine: str
    at: str
    words: str


def pages(material: Material) -> list[Page]:
    sections = [(machine, _table(nights)) for machine, nights in _by_machine(material).items()]
    return [Page(FILE, "Nights", "nights.html", {"heard": heard(material), "sections": sections})]


def heard(material: Material) -> list[Heard]:
    """Every machine, by name: its newest session or night."""
    counts, nights = material.results.counts, _by_machine(material)
    found = []
    for machine in sorted(material.results.machines):
        last = (nights.get(machine) or [{}])[-1]
        times = [*counts.loc[counts["machine"] == machine, "started_at"], last.get("began_at"), last.get("ended_at")]
        known = [pd.to_datetime(one, utc=True) for one in times if not pd.isna(one)]
        at = max(known).isoformat(timespec="seconds") if known else ""
        found.append(Heard(machine, at, _words(last)))
    return found


def _by_machine(material: Material) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in sorted(material.results.health, key=lambda one: str(one["began_at"])):
        found.setdefault(one["machine"], []).append(one)
    return found


def _words(night: Mapping[str, Any]) -> str:
    if not night:
        return "no night yet"
    outcome = OUTCOMES.get(night["outcome"], night["outcome"])
    rows = f", {night.get('measured', 0)} of {night['expected']} rows measured" if night.get("expected") else ""
    return f"last night: {outcome}{rows}"


def _table(nights: list[Mapping[str, Any]]) -> Table:
    rows = [_row(one) for one in reversed(nights[-MOST:])]
    return Table("Nights, newest first", NIGHTS, rows)


def _row(one: Mapping[str, Any]) -> list[Cell]:
    never = "; ".join(f"{count}: {reason}" for reason, count in (one.get("unscheduled") or {}).items())
    remarks = "; ".join([*(one.get("problems") or ()), *(one.get("events") or ())])
    good = one["outcome"] in ("done", "regression")
    return [
        Cell(str(one["began_at"])[:16].replace("T", " ")),
        Cell(OUTCOMES.get(one["outcome"], one["outcome"]), kind="" if good else "reading-longer"),
        Cell(", ".join(one.get("commits") or ()) or "nothing new", kind="long"),
        *(
            Cell(str(one.get(name, 0)), sort=float(one.get(name, 0)))
            for name in ("expected", "measured", "disturbed", "failed", "unavailable")
        ),
        Cell(never or "0", kind="long"),
        Cell(str(one.get("findings", 0)), sort=float(one.get("findings", 0))),
        Cell(remarks, kind="long"),
    ]
