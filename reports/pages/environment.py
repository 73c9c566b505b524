"""What was measured where: machines, environments, manifests, and what changed between two of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reports.material import Material
from reports.view import Cell, Page, Table

HIDDEN = ("machine", "env", "commit", "id")  # said by the heading


def pages(material: Material) -> list[Page]:
    manifests = list(material.results.manifests.values())
    values = {
        "machines": [_facts(name, facts) for name, facts in material.results.machines.items()],
        "manifests": [_manifest(one, manifests[index - 1] if index else None) for index, one in enumerate(manifests)],
        "problems": material.results.problems,
    }
    return [Page("environment.html", "Machines and environments", "environment.html", values)]


def flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as dotted names and text.

    >>> dict(flat({"torch": {"version": "2.13.0", "threads": 2}}))
    {'torch.version': '2.13.0', 'torch.threads': '2'}
    """
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _facts(caption: str, facts: Mapping[str, Any]) -> Table:
    return Table(caption, (("Fact", ""), ("Value", "")), [[Cell(key), Cell(value)] for key, value in flat(facts)])


def _manifest(one: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    facts = {key: value for key, value in one.items() if key not in HIDDEN}
    comparable = before is not None and before["machine"] == one["machine"]
    return {
        "id": str(one.get("id")),
        "where": f"{one['machine']}, commit {one['commit']}, {one['env']}",
        "table": _facts(f"Manifest {one.get('id')}", facts),
        "changes": _changes(dict(flat(before)), dict(flat(facts))) if before and comparable else [],
    }


def _changes(before: dict[str, str], after: dict[str, str]) -> list[tuple[str, str, str]]:
    keys = [key for key in dict.fromkeys([*before, *after]) if key not in HIDDEN and before.get(key) != after.get(key)]
    return [(key, before.get(key, "absent"), after.get(key, "absent")) for key in keys]
