"""The summary of a search: one record for programs, and the same as text, the answer first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lossimpl import wording
from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.row import Row
from lossimpl.loading.search import advice
from lossimpl.loading.search.answer import Answer, choose, sentence
from lossimpl.loading.search.measured import Measured
from lossimpl.loading.search.search import Search
from lossimpl.loading.search.store import Record, key_of

GLOSSARY = (
    "Dataset: maps an index to a sample. Sampler: the order of the indices. Batch: samples joined by collate_fn.",
    "Epoch: every sample once. Stall: the share of time that the training step waits for data.",
)
SHOWN = 8  # rows of the table of settings that were tried


@dataclass(frozen=True)
class Summary:
    """A search, finished or not: the answer, what was tried, the matrix of arguments, what was measured beside it."""

    dataset: str
    answer: Answer
    tried: Sequence[Measured]
    arguments: Sequence[Record]
    others: Sequence[Record]
    inspection: Inspection
    stall_bound: float
    budget: float
    seconds: float
    interrupted: bool
    needed: float | None = None
    stopped: str = ""
    lines: Sequence[str] = field(default_factory=tuple)

    @property
    def sentence(self) -> str:
        """The answer in one line, or why there is none."""
        found = self.answer
        if found.best:
            return sentence(found.best)
        if self.needed is not None:
            return too_short(self.inspection, self.budget, self.needed)
        if found.reordered:
            return "no setting keeps the order of num_workers=0"
        if found.refused:
            return f"no setting can be used: {found.refused[0].status}: {found.refused[0].reason}"
        return "nothing was measured yet"

    @property
    def own_arguments(self) -> list[str]:
        """The arguments of DataLoader that belong to the dataset."""
        return [name for name, present in self.inspection.has.items() if present]

    def record(self) -> Record:
        """The last line of a file of results: `arguments` and `others` are the lines of these kinds, too."""
        seen = self.inspection
        return {
            "key": key_of({"kind": "summary", "dataset": self.dataset, "seconds": self.seconds}),
            "kind": "summary",
            "dataset": self.dataset,
            "sentence": self.sentence,
            **asdict(self.answer),
            "tried": [asdict(row) for row in self.tried],
            "lines": list(self.lines),
            "arguments": self.arguments,
            "others": self.others,
            "facts": asdict(seen.facts) if seen.built else None,
            "call": paste(self.answer.best, self.own_arguments) if self.answer.best else None,
            "findings": [asdict(one) for one in seen.findings],
            "cost": asdict(seen.cost) if seen.cost else {},
            "stall_bound": self.stall_bound,
            "budget": self.budget,
            "seconds": self.seconds,
            "needed": self.needed,
            "stopped": self.stopped,
            "interrupted": self.interrupted,
        }


def too_short(seen: Inspection, budget: float, needed: float) -> str:
    """What makes a search too long for its budget, and which budget it needs."""
    costs = [f"constructing the dataset takes {wording.seconds(seen.built_seconds)}"] if seen.built_seconds > 1 else []
    costs += [f"a sample takes {wording.seconds(seen.sample_seconds)}"] if seen.sample_seconds > 0.02 else []
    why = f" ({' and '.join(costs)})" if costs else ""
    smallest = f"the smallest search takes about {needed:.0f} s{why}"
    return f"{smallest}, the budget is {budget:.0f} s: use --budget {1.2 * needed:.0f}"


def summarise(search: Search, stall_bound: float, interrupted: bool) -> Summary:
    """The summary of what a search found so far."""
    rows, seen = search.merged_rows(), search.seen
    answer = choose(rows, stall_bound)
    return Summary(
        dataset=search.bench.dataset,
        answer=answer,
        tried=sorted(rows, key=lambda row: -row.ranked_rate),
        arguments=search.effects,
        others=search.others,
        inspection=seen,
        stall_bound=stall_bound,
        budget=search.budget,
        seconds=search.budget - search.left,
        interrupted=interrupted,
        needed=search.needed,
        stopped=search.stopped,
        lines=tuple(remarks(answer, search.rows, seen, stall_bound)),
    )


def remarks(answer: Answer, rows: Sequence[Measured], seen: Inspection, stall_bound: float) -> Iterator[str]:
    """What stands below the answer, each in one line, without a repetition."""
    found: list[str] = []
    if answer.best:
        bound = advice.still_bound(answer.best, seen, stall_bound)
        found += [*([bound] if bound else []), *advice.scope(answer.best)]
    if answer.repeated and (bad := answer.repeated):
        found.append(f"Faster, but not usable: {bad.settings.text}: {bad.reason}; {bad.advice}")
    found += [*advice.of_inspection(seen), *advice.of_rows(answer.best, rows)]
    yield from dict.fromkeys(found)


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
    table = Table(title=Text(title), title_justify="left")
    for name in ("settings", "samples/s", "rounds", "stall", "memory", "first batch", "data"):
        table.add_column(name, justify="left" if name in ("settings", "data") else "right", no_wrap=name != "settings")
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
        str(max(1, len(row.rounds))),
        wording.percent(row.stall_fraction),
        wording.size(row.pss_bytes),
        wording.seconds(row.first_batch_seconds),
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


def paste(row: Row, has: Sequence[str] = ()) -> str:
    """The call of DataLoader to paste, with the arguments that belong to the dataset as names.

    >>> print(paste(Row("digits", {"batch_size": 32, "num_workers": 2}), ["collate_fn"]))
    DataLoader(
        dataset,
        batch_size=32,
        num_workers=2,
        collate_fn=collate_fn,
    )
    """
    given = [f"{name}={value}" for name, value in row.settings.call_arguments().items()]
    lines = ["dataset", *given, *(f"{name}={name}" for name in has)]
    return "DataLoader(\n" + "".join(f"    {line},\n" for line in lines) + ")"
