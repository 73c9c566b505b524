"""Machines, environments and manifests, and what changed from one manifest to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from lossimpl import wording
from lossimpl.environment import by_likelihood, differences
from reports.site.conditions import kind
from reports.site.material import Material
from reports.site.view import Cell, Page, Table, number
from reports.statistics.sessions import Session

MOST_MANIFESTS = 60
MOST_SIDE_BY_SIDE = 4
MOST_SESSIONS = 100  # of a machine; the archive has the others
HEADING = ("machine", "env", "commit", "id")
NO_FACTS = (*HEADING, "places", "revision")
SESSIONS = (
    ("Session", "when it began, in UTC"), ("Grid", ""), ("Commit", ""), ("Environment", ""), ("Took", ""),
    ("Inside timed calls", "of the time it took"), ("Rounds", "of all cases"), ("Rows ok", "undisturbed and correct"),
    ("Disturbed", "rows"), ("Shown", "on the pages of this site"),
)  # fmt: skip


def pages(material: Material) -> list[Page]:
    manifests = _newest_first(material)[:MOST_MANIFESTS]
    values = {
        "machines": [_machine(material, name, material.results.machines[name]) for name in _order(material)],
        "side_by_side": _side_by_side(manifests),
        "manifests": [_manifest(*pair) for pair in zip_longest(manifests, manifests[1:])],
        "problems": material.problems,
    }
    return [Page("environment.html", "Machines and environments", "environment.html", values)]


def _side_by_side(manifests: Sequence[Mapping[str, Any]]) -> Table | None:
    """The newest environments of different machines or packages, in the facts in which they differ."""
    found = {(str(one["machine"]), str(one["env"])): one for one in reversed(manifests)}
    chosen = [one for one in manifests if found[str(one["machine"]), str(one["env"])] is one][:MOST_SIDE_BY_SIDE]
    differing = [pair for one in chosen[1:] for pair in differences(dict(chosen[0]), dict(one))]
    names = dict.fromkeys(name for name, _, _ in by_likelihood(differing, {}) if name not in NO_FACTS)
    facts = [dict(flat(one)) for one in chosen]
    rows = [[Cell(name), *(Cell(one.get(name, wording.NOTHING)) for one in facts)] for name in names]
    heads = (("Fact", ""), *((f"{one['machine']}, {one['env']}", f"manifest {one['id']}") for one in chosen))
    return (
        Table("Where the environments differ, the likeliest cause of another number first", heads, rows)
        if rows
        else None
    )


def _order(material: Material) -> list[str]:
    """The machines, that of the newest session first."""
    newest = list(dict.fromkeys(one.machine for one in material.sessions))
    known = material.results.machines
    return [*(name for name in newest if name in known), *(name for name in known if name not in newest)]


def _machine(material: Material, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind(material, name),
        "facts": _facts(name, facts),
        "sessions": _sessions(material, [one for one in material.sessions if one.machine == name and one.id]),
    }


def _sessions(material: Material, found: list[Session]) -> Table | None:
    rows = [_session(material, one) for one in found[:MOST_SESSIONS]]
    caption = "Sessions, the newest first" + (f" ({len(rows)} of {len(found)})" if len(found) > len(rows) else "")
    return Table(caption, SESSIONS, rows) if rows else None


def _session(material: Material, one: Session) -> list[Cell]:
    statuses = material.statuses[one.key]
    timed = one.timed_seconds / one.seconds if one.seconds else None
    return [
        Cell(one.id, sort=str(one.began_at)),
        Cell(one.grid or wording.NOTHING),
        Cell(one.commit),
        Cell(one.env),
        number(one.seconds, wording.seconds),
        number(timed, wording.percent),
        number(one.rounds, wording.count),
        Cell(f"{statuses['ok']} of {statuses.total()}", sort=statuses["ok"]),
        Cell(str(statuses["disturbed"]), sort=statuses["disturbed"]),
        Cell("yes" if one in material.shown else "history"),
    ]


def _newest_first(material: Material) -> list[Mapping[str, Any]]:
    """By machine and the date of the commit, newest first; one entry per id, with the `places` that had it."""
    dates = material.results.commits["date"].to_dict()
    places: dict[str, list[str]] = {}
    known = {str(one["id"]): one for one in material.results.manifests}
    for one in material.results.manifests:
        places.setdefault(str(one["id"]), []).append(f"{one['machine']}, commit {one['commit']}, {one['env']}")
    by_date = sorted(known.values(), key=lambda one: str(dates.get(one["commit"], "")), reverse=True)
    order = _order(material)
    by_machine = sorted(by_date, key=lambda one: order.index(one["machine"]))
    return [one | {"places": "; ".join(dict.fromkeys(places[str(one["id"])]))} for one in by_machine]


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
    facts = {key: value for key, value in one.items() if key not in (*HEADING, "places")}
    comparable = before is not None and before["machine"] == one["machine"]
    return {
        "id": str(one.get("id")),
        "where": one["places"],
        "table": _facts(f"Manifest {one.get('id')}", facts),
        "changes": _changes(before, one) if before and comparable else [],
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Fields that differ, those in the heading apart, which also names the commit."""
    found = differences(dict(before), dict(after))
    return [(name, _text(old), _text(new)) for name, old, new in found if name not in NO_FACTS]


def _text(value: Any) -> str:
    if value is None:
        return "absent"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
