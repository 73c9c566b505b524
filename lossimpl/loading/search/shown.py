"""The summary of a search as text, the answer first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lossimpl import wording
from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.row import Row
from lossimpl.loading.search.answer import sentence
from lossimpl.loading.search.measured import Measured
from lossimpl.loading.search.store import Record
from lossimpl.loading.search.summary import Summary

GLOSSARY = (
    "Dataset: maps an index to a sample. Sampler: the order of the indices. Batch: samples joined by collate_fn.",
    "Epoch: every sample once. Stall: the share of time that the training step waits for data.",
)
LEFT: dict[str, Any] = {"justify": "left", "min_width": 12, "overflow": "fold"}
RIGHT: dict[str, Any] = {"justify": "right", "no_wrap": True}
SHOWN = 8  # rows of the table of settings that were tried


def show(summary: Summary, console: Console) -> None:
    """The summary as text: the answer, remarks, the tables, warnings, and a glossary. Nothing of a user's is markup."""
    found = summary.answer
    console.print(headline(summary))
    for line in answer_lines(summary):
        console.print(Text(line))
    for line in summary.lines:
        console.print(Text(line, style="yellow"))
    good = [row for row in summary.tried if row.ranked_rate][:SHOWN]
    if good:
        console.print(rows_table(good))
    if found.best and len(found.pareto) > 1:
        texts = "; ".join(row.settings.text for row in found.pareto)
        console.print(Text(f"No other is better in throughput, stall and memory at once: {texts}"))
    if summary.arguments:
        console.print(arguments_table(summary.arguments))
    for line in map(beside, summary.others):
        console.print(Text(line))
    for line in refusals(found.refused):
        console.print(Text(line, style="yellow"))
    for one in summary.inspection.findings:
        console.print(Text(f"{one.check}: {one.what}; {one.advice}", style="yellow"))
    for line in (*GLOSSARY, features(summary.inspection)):
        console.print(Text(line, style="dim"))


def headline(summary: Summary) -> Text:
    """The answer, or that there is none, and why."""
    found = summary.answer
    if found.best:
        words = "So far, without a comparison of the data" if found.provisional else "Use"
        return Text.assemble((words, "bold"), f" {summary.sentence}")
    listed = found.refused and not found.reordered and summary.needed is None
    reason = "no setting can be used" if listed else summary.sentence
    return Text.assemble(("No answer", "bold"), f": {reason}{f' ({summary.stopped})' if summary.stopped else ''}")


def answer_lines(summary: Summary) -> Iterator[str]:
    """What is as good as the answer, and what else a user may want."""
    found = summary.answer
    if found.tied:
        yield f"Statistically tied with it: {'; '.join(row.settings.text for row in found.tied)}"
    if found.smallest and found.smallest is not found.best:
        bound = wording.percent(summary.stall_bound)
        yield f"Fewest workers with a stall of at most {bound}: {sentence(found.smallest)}"
    if found.reordered:
        yield f"Faster, but in another order: {sentence(found.reordered)}"


def features(seen: Inspection) -> str:
    """Start methods, thread workers and free threading here, whether they can be searched or not."""
    return seen.features or "Start methods and thread workers: not known, the dataset was not inspected."


def refusals(rows: Sequence[Row]) -> list[str]:
    """What went wrong, each fault once with all settings that have it."""
    settings: dict[str, list[str]] = {}
    for row in rows:
        fault = f"{row.status}: {row.reason}" + (f" -> {row.advice}" if row.advice else "")
        settings.setdefault(fault, []).append(row.settings.text)
    return [f"{fault}\n  with {'; '.join(texts)}" for fault, texts in settings.items()]


def beside(line: Record) -> str:
    """A cold page cache, a peer, or the shards of DistributedSampler, in one line."""
    if line["kind"] == "distributed":
        found = f"shards of {line['sizes']}, {line['shares']}" if line["status"] == "ok" else line["reason"]
        return f"DistributedSampler, {line['world']} processes: {found}"
    row = Row.from_record(line)
    found = f"{row.status}: {row.reason}"
    if row.status == "ok":
        found = f"{wording.count(row.ranked_rate)} samples/s"
        if "resumed" in line:
            found += ", resumes exactly" if line["resumed"] else ", does not resume exactly"
    return f"{line.get('peer') or f'page cache {row.page_cache}'} ({row.settings.text}): {found}"


def rows_table(rows: Sequence[Measured]) -> Table:
    """Rows as a table; arguments that all have in common stand in its title."""
    shown = [row.settings.call_arguments() for row in rows]
    common = dict(set.intersection(*(set(one.items()) for one in shown)))
    title = "Settings tried" + (f", all with {call_text(common)}" if common else "")
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("settings", "samples/s", "stall", "memory", "data"):
        table.add_column(name, **(LEFT if name in ("settings", "data") else RIGHT))
    for row, arguments in zip(rows, shown, strict=True):
        own = {name: value for name, value in arguments.items() if name not in common}
        table.add_row(*map(Text, row_cells(row, call_text(own) or "num_workers=0")))
    return table


def call_text(arguments: Mapping[str, str]) -> str:
    """Arguments as in a call."""
    return ", ".join(f"{name}={value}" for name, value in arguments.items())


def row_cells(row: Measured, settings: str) -> tuple[str, ...]:
    """The cells of one row: the rate with its interval over rounds, where there is more than one round."""
    ends = row.interval if len(row.rounds) > 1 else None
    between = f" ({wording.count(ends.low)} to {wording.count(ends.high)})" if ends else ""
    return (
        settings,
        f"{wording.count(row.ranked_rate)}{between}",
        wording.percent(row.stall_fraction),
        wording.size(row.pss_bytes),
        row.verdict or wording.NOTHING,
    )


def arguments_table(lines: Sequence[Record]) -> Table:
    """What each argument changes on this dataset, with each cure once."""
    table = Table(title="What each argument changes on this dataset, against num_workers=0", title_justify="left")
    for name in ("argument", "settings", "data", "how"):
        table.add_column(name)
    for line in lines:
        row = Row.from_record(line)
        notes = "; ".join([row.verdict_reason or row.reason, *row.notes])
        table.add_row(*map(Text, (line["argument"], row.settings.text, row.verdict or row.status, notes)))
    cures: list[Any] = sorted({line["advice"] for line in lines if line["advice"]})
    table.caption = Text("Cure: " + " / ".join(cures)) if cures else None
    return table
