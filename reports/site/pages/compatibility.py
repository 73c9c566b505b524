"""Ways of calling a loss: which work, from the counts that `lossimpl check --ways` stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lossimpl import wording
from reports.record.schema import Record
from reports.site.figures.style import in_order
from reports.site.material import Material
from reports.site.view import Cell, Page, Table

COMMAND = "lossimpl check --ways --json docs/ways.jsonl"
WAYS = {  # in words
    "call": "plain call and `backward()`",
    "create_graph": "`backward(create_graph=True)`",
    "func.grad": "`torch.func.grad`",
    "jvp": "`torch.func.jvp`",
    "vmap": "`torch.vmap`",
    "make_fx": "`make_fx` (value and gradients)",
    "compile": "`torch.compile(fullgraph=True)`",
    "export": "`torch.export`",
    "linearize": "`torch.func.linearize`",
    "hessian": "`torch.func.hessian`",
    "nested vmap": "nested `torch.vmap`, one argument batched twice",
    "functionalize": "`torch.func.functionalize`",
    "torch.jit.trace": "`torch.jit.trace`",
    "torch.fx": "`torch.fx.symbolic_trace`",
    "torch.onnx.export": "`torch.onnx.export`, run by onnxruntime",
    "torch.onnx.export(dynamo=False)": "`torch.onnx.export(dynamo=False)`, run by onnxruntime",
}
MARKS = {"works": "✓", "refuses": "–", "fails": "✗", "not applicable": "n/a"}
KINDS = {"fails": "fail"}
NOTES = (
    "A cell counts the hard cases of the conformance table that hold when the loss is called this way, of those that "
    "apply: the value and gradients of the plain call, or its error.",
    "A case does not apply where torch's own function keeps it in a plain call and loses it this way.",
    "Ways that take seconds per case run an evenly spaced sample of the cases, so their counts are smaller.",
    "Tangents are compared in float32 and float64: rounding them to half precision before they are multiplied costs "
    "digits.",
    "ONNX programs compute the value alone, in float32. ONNX has no log1p, so the digits of tiny losses are not asked "
    "for.",
    "`torch.compile` stops before it generates code here: the column of `compiled` on the conformance pages has that.",
)


def pages(material: Material) -> list[Page]:
    found = material.ways
    tables = [_table(one, found) for one in in_order({row["implementation"] for row in found})]
    values = {"tables": tables, "notes": NOTES, "command": COMMAND, "torch": versions(found), "totals": totals(found)}
    return [Page("compatibility.html", "Ways of calling", "compatibility.html", values)]


def versions(found: list[Record]) -> str:
    """The versions of torch that the counts are of."""
    return wording.names(sorted({row["torch"] for row in found}))


def totals(found: list[Record]) -> str:
    """All counts in one sentence."""
    kept, failed, refused, lost = (sum(row[key] for row in found) for key in COUNTS)
    ran, held = wording.count(kept + failed + refused), wording.count(kept)
    return f"{held} of {ran} results hold; {failed} fail, {refused} are refused by name, and {lost} are not applicable."


COUNTS = ("passed", "failed", "refused", "inapplicable")


def words(row: Record) -> str:
    """The counts of a cell: `✓ 120`, or `✗ 118 / 120`."""
    ran = row["passed"] + row["failed"] + row["refused"]
    if row["passed"] == ran and ran:
        return f"{MARKS['works']} {ran}"
    return f"{MARKS[row['status']]} {row['passed']} / {ran}" if row["passed"] else MARKS[row["status"]]


def by_way(found: list[Record]) -> dict[str, dict[str, Record]]:
    """The cells of one implementation: way -> loss -> cell."""
    rows: dict[str, dict[str, Record]] = {}
    for row in found:
        rows.setdefault(row["way"], {})[row["loss"]] = row
    return rows


def _table(implementation: str, found: list[Record]) -> Table:
    own = [row for row in found if row["implementation"] == implementation]
    losses = list(dict.fromkeys(row["loss"] for row in own))
    rows = [
        [Cell(WAYS.get(way, way)), *(_cell(cells.get(loss)) for loss in losses)] for way, cells in by_way(own).items()
    ]
    return Table(implementation, (("Way of calling", ""), *((loss.replace("_", " "), loss) for loss in losses)), rows)


def _cell(row: Record | None) -> Cell:
    if row is None:
        return Cell("")
    more = tuple(("Case", reason) for reason in row["reasons"])
    return Cell(words(row), sort=row["status"], kind=KINDS.get(row["status"], ""), more=more)


def markdown(found: list[Record]) -> Iterator[str]:
    """The paragraphs of docs/compatibility.md: one table per implementation, its losses as columns."""
    yield "# Ways of calling a loss"
    yield f"Written by `python -m reports readme` from what `{COMMAND}` stored; torch {versions(found)}."
    yield f"{totals(found)} ✓ works, – refused by name, ✗ fails, n/a not applicable."
    yield "\n".join(f"- {one}" for one in NOTES)
    for one in in_order({row["implementation"] for row in found}):
        yield f"## {one}"
        yield "\n".join(_lines([row for row in found if row["implementation"] == one]))


def _lines(own: list[Record]) -> Iterator[str]:
    losses = list(dict.fromkeys(row["loss"] for row in own))
    yield f"| way of calling | {' | '.join(loss.replace('_', ' ') for loss in losses)} |"  # spaces, to wrap
    yield f"|{'---|' * (len(losses) + 1)}"
    for way, cells in by_way(own).items():
        shown: list[Any] = [words(cells[loss]) if loss in cells else "" for loss in losses]
        yield f"| {WAYS.get(way, way)} | {' | '.join(shown)} |"
