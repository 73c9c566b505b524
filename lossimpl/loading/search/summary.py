"""The summary of a search: one record for programs, and the same as text, the answer first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.row import Row
from lossimpl.loading.search.answer import Answer, choose, sentence
from lossimpl.loading.search.search import Measured, Search
from lossimpl.loading.search.store import Record, key_of
from lossimpl.loading.settings import Settings

GLOSSARY = (
    "Dataset: maps an index to a sample. Sampler: the order of the indices. Batch: samples joined by collate_fn.",
    "Epoch: every sample once. Stall: the share of time that the training step waits for data.",
)


@dataclass(frozen=True)
class Summary:
    """A search, finished or not: the answer, the matrix of arguments, what was measured beside it, the inspection."""

    dataset: str
    answer: Answer
    arguments: Sequence[Record]
    others: Sequence[Record]
    inspection: Inspection
    stall_bound: float
    budget: float
    seconds: float
    interrupted: bool

    @property
    def sentence(self) -> str:
        """The answer in one line, or why there is none."""
        found = self.answer
        if found.best:
            return sentence(found.best)
        if found.reordered:
            return "no setting keeps the order of num_workers=0"
        if found.refused:
            return f"no setting can be used: {found.refused[0].status}: {found.refused[0].reason}"
        return "nothing was measured yet"

    def record(self) -> Record:
        """The last line of a file of results: `arguments` and `others` are the lines of these kinds, too."""
        seen = self.inspection
        return {
            "key": key_of({"kind": "summary", "dataset": self.dataset, "seconds": self.seconds}),
            "kind": "summary",
            "dataset": self.dataset,
            "sentence": self.sentence,
            **asdict(self.answer),
            "arguments": self.arguments,
            "others": self.others,
            "facts": asdict(seen.facts) if seen.built else None,
            "findings": [asdict(one) for one in seen.findings],
            "cost": asdict(seen.cost) if seen.cost else {},
            "stall_bound": self.stall_bound,
            "budget": self.budget,
            "seconds": self.seconds,
            "interrupted": self.interrupted,
        }


def latest(rows: Sequence[Measured]) -> list[Measured]:
    """One row per setting: one with a verdict where there is any, and of these the one with the longest budget."""
    best: dict[Settings, Measured] = {}
    for row in sorted(rows, key=lambda row: (bool(row.verdict), row.budget)):
        best[row.settings] = row
    return list(best.values())


def summarise(search: Search, stall_bound: float, interrupted: bool) -> Summary:
    """The summary of what a search found so far."""
    return Summary(
        dataset=search.bench.dataset,
        answer=choose(latest(search.rows), stall_bound),
        arguments=search.effects,
        others=search.others,
        inspection=search.bench.inspect(search.base),
        stall_bound=stall_bound,
        budget=search.budget,
        seconds=search.budget - search.left,
        interrupted=interrupted,
    )


def show(summary: Summary, console: Console) -> None:
    """The summary as text: the answer, the tables, warnings, and a glossary."""
    found = summary.answer
    if found.best:
        console.print(f"[bold]Use[/bold] {escape(summary.sentence)}")
    else:
        listed_below = found.refused and not found.reordered
        reason = "no setting can be used" if listed_below else escape(summary.sentence)
        console.print(f"[bold]No answer[/bold]: {reason}")
    if found.tied:
        console.print(f"Statistically tied with it: {'; '.join(row.settings.text for row in found.tied)}")
    if found.smallest:
        console.print(f"Fewest workers with a stall of at most {summary.stall_bound:.0%}: {sentence(found.smallest)}")
    if found.reordered:
        console.print(f"Faster, but in another order: {sentence(found.reordered)}")
    if found.pareto:
        console.print(rows_table("No other setting is better in throughput, stall and memory at once", found.pareto))
    if summary.arguments:
        console.print(arguments_table(summary.arguments))
    for line in map(beside, summary.others):
        console.print(line, markup=False)
    for line in refusals(found.refused):
        console.print(line, style="yellow", markup=False)
    for one in summary.inspection.findings:
        console.print(f"{one.check}: {one.what} -> {one.advice}", style="yellow", markup=False)
    for line in GLOSSARY:
        console.print(line, style="dim")


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
        found = f"shards of {line['sizes']}, disjoint and complete" if line["status"] == "ok" else line["reason"]
        return f"DistributedSampler, {line['world']} processes: {found}"
    row = Row.from_record(line)
    found = f"{row.status}: {row.reason}"
    if row.status == "ok":
        found = f"{row.ranked_rate:,.0f} samples/s"
        if "resumed" in line:
            found += ", resumes exactly" if line["resumed"] else ", does not resume exactly"
    return f"{line.get('peer') or f'page cache {row.page_cache}'} ({row.settings.text}): {found}"


def rows_table(title: str, rows: Sequence[Row]) -> Table:
    """Rows as a table, fastest first."""
    table = Table(title=title, title_justify="left")
    for name in ("settings", "samples/s", "95% interval", "stall", "MiB", "first batch s", "data"):
        table.add_column(name, justify="left" if name in ("settings", "data") else "right")
    for row in rows:
        table.add_row(
            row.settings.text,
            f"{row.ranked_rate:,.0f}",
            f"{row.epoch_rate_low:,.0f}..{row.epoch_rate_high:,.0f}",
            "" if row.stall_fraction is None else f"{row.stall_fraction:.0%}",
            f"{(row.pss_bytes or 0) / 2**20:.0f}",
            f"{row.first_batch_seconds:.2f}",
            row.verdict or "",
        )
    return table


def arguments_table(lines: Sequence[Record]) -> Table:
    """What each argument changes on this dataset, with each cure once."""
    table = Table(title="What each argument changes on this dataset, against num_workers=0", title_justify="left")
    for name in ("argument", "settings", "data", "how"):
        table.add_column(name)
    for line in lines:
        row = Row.from_record(line)
        notes = "; ".join([row.verdict_reason or row.reason, *row.notes])
        table.add_row(line["argument"], row.settings.text, row.verdict or row.status, escape(notes))
    cures: list[Any] = sorted({line["advice"] for line in lines if line["advice"]})
    table.caption = "Cure: " + escape(" / ".join(cures)) if cures else None
    return table
