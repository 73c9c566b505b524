"""The gate's self-test: false alarms on identical code, and how many planted slowdowns it finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossimpl import wording
from reports.site.material import Material
from reports.site.pages.environment import flat
from reports.site.view import Cell, Page, Table


def pages(material: Material) -> list[Page]:
    records = material.results.selftests
    values = {
        "machines": [{"name": name, "reading": reading(one), "tables": _tables(one)} for name, one in records.items()]
    }
    return [Page("gate-self-test.html", "The gate's self-test", "gate.html", values)]  # gate.html is a comparison's


def reading(record: Mapping[str, Any]) -> str:
    """False alarms, and how many were found of the first planted slowdown, for which the default budget is meant.

    >>> reading({"flagged_by_time": 1, "rows_of_identical_code": 210, "detection": [
    ...     {"planted": "+20% busy", "rows": 20, "found": 19}]})
    'It flagged 1 of 210 rows of identical code; it found 19 of 20 rows with a planted +20% busy.'
    """
    parts = []
    if {"flagged_by_time", "rows_of_identical_code"} <= set(record):
        verdicts = {one["verdict"]: one["rows"] for one in record.get("verdicts_on_identical_code") or []}
        undecided = f" and left {verdicts['inconclusive']} undecided" if verdicts.get("inconclusive") else ""
        rows = f"{record['rows_of_identical_code']} rows of identical code"
        parts.append(f"it flagged {record['flagged_by_time']} of {rows}{undecided}")
    if {"instruction_rows", "instruction_false_alarms"} <= set(record):
        parts.append(
            f"by instructions it flagged {record['instruction_false_alarms']} of {record['instruction_rows']} "
            f"identical rows and found a planted +2 % in {record.get('instruction_planted_found')}{_missed(record)}"
        )
    planted = [one for one in record.get("detection") or [] if {"planted", "rows", "found"} <= set(one)]
    parts += [f"it found {one['found']} of {one['rows']} rows with a planted {one['planted']}" for one in planted[:1]]
    parts += [_beside(one) for one in record.get("beside_busy_processes") or []]
    text = "; ".join(parts)
    budget = f" Each group of rows had {record['budget_seconds'] / 60:g} minutes." if "budget_seconds" in record else ""
    return f"{text[0].upper()}{text[1:]}.{budget}" if text else ""


def _beside(one: Mapping[str, Any]) -> str:
    """One load of the self-test: false alarms, rows decided, and planted +20 % found."""
    decided = one["rows"] - one["undecided_identical"]
    return (
        f"beside {one['busy_processes']} busy processes it flagged {one['flagged_identical']} of {one['rows']} rows of "
        f"identical code, decided {decided}, and found +20 % in {one['found_of_20_percent']} of {one['rows']}"
    )


def _missed(record: Mapping[str, Any]) -> str:
    """The names of the rows whose planted instructions were not found; older records lack them."""
    missed = record.get("instruction_planted_missed", "none")
    return "" if missed == "none" else f" (not in {missed})"


def _tables(record: Mapping[str, Any]) -> list[Table]:
    """One table per list of objects, and one of all other facts. Recorded series are not shown."""
    record = {key: value for key, value in record.items() if key != "recorded"}
    lists = {key: value for key, value in record.items() if _is_table(value)}
    plain = {key: value for key, value in record.items() if key not in lists}
    facts = [[Cell(_words(key)), Cell(text)] for key, text in flat(plain)]
    last = [Table("All facts", (("Fact", ""), ("Value", "")), facts)] if facts else []
    return [*(_listed(_words(key).capitalize(), value) for key, value in lists.items()), *last]


def _words(key: str) -> str:
    return key.replace("_", " ")


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _listed(caption: str, rows: list[dict[str, Any]]) -> Table:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(key)) for key in keys] for row in rows]
    return Table(caption, tuple((_words(key), "") for key in keys), cells)


def _cell(value: Any) -> Cell:
    if isinstance(value, float):
        return Cell(wording.digits(value) if wording.known(value) else wording.NOTHING, sort=value)
    return Cell("" if value is None else str(value), sort=value if isinstance(value, int) else None)
