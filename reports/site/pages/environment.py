"""Machines, environments and manifests, and what changed from one manifest to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from lossimpl import wording
from lossimpl.environment import differences
from reports.site.material import Material
from reports.site.view import Cell, Page, Table

HEADING = ("machine", "env", "commit", "id")


def pages(material: Material) -> list[Page]:
    manifests = _newest_first(material)
    values = {
        "machines": [_facts(name, facts) for name, facts in material.results.machines.items()],
        "manifests": [_manifest(*pair) for pair in zip_longest(manifests, manifests[1:])],
        "problems": material.results.problems,
    }
    return [Page("environment.html", "Machines and environments", "environment.html", values)]


def _newest_first(material: Material) -> list[Mapping[str, Any]]:
    """By machine, then by the date of the commit, newest first."""
    dates = material.results.rows.groupby("commit")["date"].min().to_dict()
    known = list(material.results.manifests.values())
    by_date = sorted(known, key=lambda one: str(dates.get(one["commit"], "")), reverse=True)
    return sorted(by_date, key=lambda one: str(one["machine"]))


def flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as dotted names and text.

    >>> dict(flat({"torch": {"version": "2.13.0", "threads": 2}}))
    {'torch.version': '2.13.0', 'torch.threads': '2'}
    """
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _facts(caption: str, facts: Mapping[str, Any]) -> Table:
    rows = [[Cell(key), _value(key, value)] for key, value in flat(facts)]
    return Table(caption, (("Fact", ""), ("Value", "")), rows)


def _value(key: str, value: str) -> Cell:
    """asv stores the memory of a machine in bytes, as text."""
    return Cell(wording.size(int(value))) if key == "ram" and value.isdigit() else Cell(value)


def _manifest(one: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    facts = {key: value for key, value in one.items() if key not in HEADING}
    comparable = before is not None and before["machine"] == one["machine"]
    return {
        "id": str(one.get("id")),
        "where": f"{one['machine']}, commit {one['commit']}, {one['env']}",
        "table": _facts(f"Manifest {one.get('id')}", facts),
        "changes": _changes(before, one) if before and comparable else [],
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Fields that differ, those in the heading apart, which also names the commit."""
    found = differences(dict(before), dict(after))
    return [(name, _text(old), _text(new)) for name, old, new in found if name not in (*HEADING, "revision")]


def _text(value: Any) -> str:
    if value is None:
        return "absent"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
