"""Ways of calling a loss: which work, from the counts that `lossimpl check --ways` stored."""

from __future__ import annotations

from collections.abc import Iterator

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
    "Where losses, or terms of a gradient, add up beyond the range of float32 (of float64 for float64 inputs), torch's "
    "functions, `vectorized` and `naive` give infinity or NaN. The plain call of `native` sums in double precision, so "
    "its `mean` stays finite; `torch.func`, forward mode, ONNX programs and devices without kernels compute "
    "`vectorized` in its place.",
)
Rows = dict[str, dict[str, Record]]  # way of calling -> column -> cell


def pages(material: Material) -> list[Page]:
    found = material.ways
    tables = [_table(*one) for one in sections(found)]
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
    """The counts of a cell: `✓ 120`, `✗ 118 / 120`, or `✓ 119, 1 n/a`."""
    ran = row["passed"] + row["failed"] + row["refused"]
    if not row["passed"]:
        return MARKS[row["status"]]
    held = wording.count(row["passed"]) + ("" if row["passed"] == ran else f" / {wording.count(ran)}")
    lost = f", {row['inapplicable']} {MARKS['not applicable']}" if row["inapplicable"] else ""
    return f"{MARKS[row['status']]} {held}{lost}"


def sections(found: list[Record]) -> Iterator[tuple[str, Rows, list[str]]]:
    """The tables as caption, rows and columns: all losses together, then those of each implementation."""
    names = in_order({row["implementation"] for row in found})
    if names:
        yield "All losses", over_losses(found), names
    for name in names:
        own = [row for row in found if row["implementation"] == name]
        yield name, by_way(own), list(dict.fromkeys(row["loss"] for row in own))


def total(rows: list[Record]) -> Record:
    """The counts of several cells together, which fail where one fails."""
    statuses = {row["status"] for row in rows}
    status = next(one for one in ("fails", "works", "refuses", "not applicable") if one in statuses)
    return {key: sum(row[key] for row in rows) for key in COUNTS} | {"status": status, "reasons": []}


def over_losses(found: list[Record]) -> Rows:
    """The counts over all losses, per implementation."""
    rows: dict[str, dict[str, list[Record]]] = {}
    for row in found:
        rows.setdefault(row["way"], {}).setdefault(row["implementation"], []).append(row)
    return {way: {name: total(own) for name, own in cells.items()} for way, cells in rows.items()}


def by_way(found: list[Record]) -> Rows:
    """The cells of one implementation, per loss."""
    rows: Rows = {}
    for row in found:
        rows.setdefault(row["way"], {})[row["loss"]] = row
    return rows


def _table(caption: str, rows: Rows, columns: list[str]) -> Table:
    body = [[Cell(WAYS.get(way, way)), *(_cell(cells.get(one)) for one in columns)] for way, cells in rows.items()]
    return Table(caption, (("Way of calling", ""), *((one.replace("_", " "), one) for one in columns)), body)


def _cell(row: Record | None) -> Cell:
    if row is None:
        return Cell("")
    more = tuple(("Case", reason) for reason in row["reasons"])
    return Cell(words(row), sort=row["status"], kind=KINDS.get(row["status"], ""), more=more)


def markdown(found: list[Record]) -> Iterator[str]:
    """The paragraphs of docs/compatibility.md: all losses together, then one table per implementation."""
    yield "# Ways of calling a loss"
    yield f"Written by `python -m reports readme` from what `{COMMAND}` stored; torch {versions(found)}."
    yield f"{totals(found)} ✓ works, – refused by name, ✗ fails, n/a not applicable."
    yield "\n".join(f"- {one}" for one in NOTES)
    for caption, rows, columns in sections(found):
        yield f"## {caption}"
        yield "\n".join(_lines(rows, columns))


def _lines(rows: Rows, columns: list[str]) -> Iterator[str]:
    yield f"| way of calling | {' | '.join(one.replace('_', ' ') for one in columns)} |"  # spaces, to wrap
    yield f"|{'---|' * (len(columns) + 1)}"
    for way, cells in rows.items():
        shown = (words(cells[one]) if one in cells else "" for one in columns)
        yield f"| {WAYS.get(way, way)} | {' | '.join(shown)} |"
