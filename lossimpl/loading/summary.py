"""The summary of a sweep: one record for programs, and the same as text, the answer first.

The record: `kind` "summary"; `dataset`; `sentence` (the answer); `best`, `tied`, `smallest`, `reordered`, `pareto`,
`refused` (rows, see `lossimpl.loading.row`); `arguments` (the matrix); `others` (cold
page cache, peers, DistributedSampler); `facts`, `findings`, `cost` (the inspection);
`stall_bound`, `budget`, `seconds`, `interrupted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lossimpl.loading import answer
from lossimpl.loading.search import Search
from lossimpl.loading.store import Record, key_of

WORDS = (
    "Dataset: where sample i comes from. Sampler: the order of the numbers. Batch: samples joined by collate_fn.",
    "Iteration: one batch through the training step. Epoch: every sample once. Stall: the share of time spent waiting.",
)


def latest(rows: Sequence[Record]) -> list[Record]:
    """One row for each setting: the one with the longest budget, which has the verdict where any has."""
    best: dict[str, Record] = {}
    for row in rows:
        key = key_of(row["scenario"])
        if key not in best or (bool(row.get("verdict")), row["budget"]) >= (
            bool(best[key].get("verdict")),
            best[key]["budget"],
        ):
            best[key] = row
    return list(best.values())


def summarise(search: Search, stall_bound: float, interrupted: bool) -> Record:
    """The record of a sweep, finished or not."""
    found = answer.choose(latest(search.rows), stall_bound)
    looked = search.bench.inspect(search.base)
    parts = {name: looked.first(name) or {} for name in ("facts", "preflight", "cost")}
    return {
        "key": key_of({"kind": "summary", "dataset": search.bench.dataset, "seconds": search.budget - search.left}),
        "kind": "summary",
        "dataset": search.bench.dataset,
        "sentence": answer.sentence(found.best) if found.best else nothing(found),
        **asdict(found),
        "arguments": search.effects,
        "others": search.others,
        "facts": parts["facts"].get("facts"),
        "findings": parts["preflight"].get("findings", []),
        "cost": {name: value for name, value in parts["cost"].items() if name not in ("event", "at")},
        "stall_bound": stall_bound,
        "budget": search.budget,
        "seconds": search.budget - search.left,
        "interrupted": interrupted,
    }


def nothing(found: answer.Answer) -> str:
    """Why there is no answer."""
    if found.reordered:
        return "no setting keeps the order of num_workers=0"
    if found.refused:
        row = found.refused[0]
        return f"no setting can be used: {row['status']}: {row['reason']}"
    return "nothing was measured yet"


def show(summary: Record, console: Console) -> None:
    """The summary as text: the answer, the tables, what to look out for, the words."""
    best = summary["best"]
    told_below = not best and summary["refused"] and not summary["reordered"]
    sentence = "no setting can be used" if told_below else escape(summary["sentence"])
    console.print(f"[bold]Use[/bold] {sentence}" if best else f"[bold]No answer[/bold]: {sentence}")
    if summary["tied"]:
        names = "; ".join(answer.settings_of(row).text for row in summary["tied"])
        console.print(f"Not to be told from it: {names}")
    if summary["smallest"]:
        console.print(
            f"Smallest with a stall of at most {summary['stall_bound']:.0%}: {answer.sentence(summary['smallest'])}"
        )
    if summary["reordered"]:
        console.print(f"Where another order is fine: {answer.sentence(summary['reordered'])}")
    if summary["pareto"]:
        console.print(rows_table("Not beaten in throughput, stall and memory together", summary["pareto"]))
    if summary["arguments"]:
        console.print(arguments_table(summary["arguments"]))
    for row in summary["others"]:
        console.print(other(row), markup=False)
    for line in refusals(summary["refused"]):
        console.print(line, style="yellow", markup=False)
    for one in summary["findings"]:
        console.print(f"{one['check']}: {one['what']} -> {one['advice']}", style="yellow", markup=False)
    for line in WORDS:
        console.print(line, style="dim")


def refusals(rows: Sequence[Record]) -> list[str]:
    """What went wrong, each once with all the settings that it befell."""
    befell: dict[str, list[str]] = {}
    for row in rows:
        told = f"{row['status']}: {row['reason']}" + (f" -> {row['advice']}" if row["advice"] else "")
        befell.setdefault(told, []).append(answer.settings_of(row).text)
    return [f"{told}\n  with {'; '.join(settings)}" for told, settings in befell.items()]


def other(row: Record) -> str:
    """A cold page cache, a peer, or the shards of DistributedSampler, in one line."""
    if row["kind"] == "distributed":
        found = f"shards of {row['sizes']}, disjoint and complete" if row["status"] == "ok" else row["reason"]
        return f"DistributedSampler, {row['world']} processes: {found}"
    found = f"{row['status']}: {row['reason']}"
    name = row.get("peer") or f"page cache {row.get('page_cache')}"
    if row["status"] == "ok":
        found = f"{row['epoch_rate']:,.0f} samples/s"
        if "resumed" in row:
            found += ", resumes exactly" if row["resumed"] else ", does not resume exactly"
    return f"{name} ({answer.settings_of(row).text}): {found}"


def rows_table(title: str, rows: Sequence[Record]) -> Table:
    """Rows as a table, fastest first."""
    table = Table(title=title, title_justify="left")
    for name in ("settings", "samples/s", "95% interval", "stall", "MiB", "first batch s", "data"):
        table.add_column(name, justify="left" if name in ("settings", "data") else "right")
    for row in rows:
        stall = row.get("stall_fraction")
        table.add_row(
            answer.settings_of(row).text,
            f"{row['epoch_rate']:,.0f}",
            f"{row['epoch_rate_low']:,.0f}..{row['epoch_rate_high']:,.0f}",
            "" if stall is None else f"{stall:.0%}",
            f"{row['pss_bytes'] / 2**20:.0f}",
            f"{row['first_batch_seconds']:.2f}",
            row.get("verdict") or "",
        )
    return table


def arguments_table(effects: Sequence[Record]) -> Table:
    """What each argument changes on this dataset, with the cure once."""
    table = Table(title="What each argument changes here, against num_workers=0", title_justify="left")
    for name in ("argument", "settings", "data", "how"):
        table.add_column(name)
    for row in effects:
        notes = "; ".join([row.get("verdict_reason") or row["reason"], *row.get("notes", [])])
        table.add_row(row["argument"], answer.settings_of(row).text, row.get("verdict") or row["status"], escape(notes))
    cures: list[Any] = sorted({row["advice"] for row in effects if row["advice"]})
    table.caption = "Cure: " + escape(" / ".join(cures)) if cures else None
    return table
