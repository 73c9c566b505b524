"""`lossimpl loaders`: the fastest DataLoader settings that still deliver the same training data."""

from __future__ import annotations

import itertools
import json as json_module
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossimpl.loading.settings import WORKER_DEFAULTS, Settings, type_fault
from lossimpl.loading.timing.consumer import Kind  # typer reads the annotation when the command is called
from lossimpl.loading.validity import invalid_reason
from lossimpl.measure.wall import now

if TYPE_CHECKING:
    from rich.console import Console

    from lossimpl.loading.inspection.result import Inspection
    from lossimpl.loading.search.measured import Measured
    from lossimpl.loading.search.search import Search
    from lossimpl.loading.search.summary import Summary

MILLISECOND = 1e-3
DEFAULT_STEP = 10.0  # milliseconds
ENDING = 0.4  # seconds for ending the processes and printing the summary
OVERTIME = 1.1  # times the budget, when a job that is still running is cut


def loaders(
    dataset: Annotated[
        str, typer.Option(help="A built-in dataset, or MODULE:FACTORY or FILE.py:FACTORY of your own.")
    ] = "photographs",
    batch_size: Annotated[
        list[int] | None, typer.Option(help="Samples per batch; repeat to compare; default 32.", min=1)
    ] = None,
    step_time: Annotated[
        float | None, typer.Option(help="Milliseconds per step of your training; default 10.", min=0.0)
    ] = None,
    consumer: Annotated[Kind, typer.Option(help="What the step does meanwhile: wait for a GPU, or compute.")] = "sleep",
    budget: Annotated[float, typer.Option(help="Seconds for the whole search.", min=1.0)] = 90.0,
    stall_bound: Annotated[float, typer.Option(help="Percent of waiting that you accept.", min=0.0, max=100.0)] = 5.0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE[,VALUE]: only these values of a DataLoader argument.")
    ] = None,
    observed: Annotated[
        list[Path] | None,
        typer.Option("--from", help="What `observe` wrote in your training: start from it.", exists=True),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Results, one per line; an interrupted search is resumed from them.", dir_okay=False)
    ] = Path("lossimpl-loaders.jsonl"),
    apply: Annotated[bool, typer.Option("--apply", help="Print only the call of DataLoader to paste.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Find the fastest settings of torch's DataLoader for your dataset that still deliver the same training data."""
    from rich.console import Console

    from lossimpl.loading.bench import Bench
    from lossimpl.loading.datasets import require
    from lossimpl.loading.harness.launcher import Zygote
    from lossimpl.loading.observation.start import start_from
    from lossimpl.loading.search.search import Search
    from lossimpl.loading.search.store import Store
    from lossimpl.loading.search.summary import summarise

    started = now()
    try:
        require(dataset)
        pinned = parse_all(settings or [])
        store = Store(output)
        start = start_from(observed or [])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if batch_size:
        pinned["batch_size"] = list(batch_size)
    store.writable()  # before the minutes that fill it
    notices = Console(stderr=True, emoji=False, markup=False, highlight=False)
    milliseconds = step_time if step_time is not None else 1e3 * start.step if start.step else DEFAULT_STEP
    with closing(Zygote()) as zygote, progress(budget, started, notices) as report:
        zygote.waiting = lambda phase, seconds: report(waiting_words(phase, seconds), True)
        patience = min(60.0, max(5.0, budget / 10))
        bench = Bench(dataset, zygote, milliseconds * MILLISECOND, consumer, patience, started + OVERTIME * budget)
        search = Search(bench, start.base, {}, budget - ENDING, store, start.first, report, started=started)
        search.show = lambda row: notices.print(row_line(row))
        interrupted = run(search, pinned, report)
    unknown_is_refused(search)
    summary = summarise(search, stall_bound / 100, interrupted)
    store.put(summary.record())
    tell(summary, json, apply)
    if interrupted or not summary.answer.best:
        raise typer.Exit(130 if interrupted else 1)


def complete(search: Search, pinned: dict[str, list[Any]]) -> None:
    """Give the search the values to try on this dataset, with the user's in place of the usual ones."""
    from lossimpl.loading.search.space import default_axes
    from lossimpl.measure.threads import usable_cores

    facts = search.bench.inspect(search.base).facts
    if facts.has_batch_sampler:
        search.base = replace(search.base, batch_size=1)
    worker_arguments = {"num_workers", *WORKER_DEFAULTS}
    fixed = {name: values[0] for name, values in pinned.items() if len(values) == 1 and name not in worker_arguments}
    search.base = replace(search.base, **fixed)
    free = {name: values for name, values in pinned.items() if name not in fixed}
    search.axes = {**default_axes(usable_cores(), facts), **free}


def run(search: Search, pinned: dict[str, list[Any]], report: Any) -> bool:
    """Run the search; whether it was interrupted. Invalid requests become rows that say why."""
    try:
        complete(search, pinned)
        report(inspection_words(search.seen), True)
        asked = list(requests(search.base, pinned))
        refused = [one for one in asked if invalid_reason(one, search.bench.inspect(one).facts)]
        for one in refused:
            search.measure(one, 0)
        if len(refused) < len(asked):
            search.run()
    except KeyboardInterrupt:
        return True
    return False


def inspection_words(seen: Inspection) -> str:
    """What the inspection found, as the first line of a search."""
    from lossimpl import wording

    length = "a stream" if seen.facts.length is None else f"{wording.count(seen.facts.length)} samples"
    parts = [f"constructed in {wording.seconds(seen.built_seconds)}", length] if seen.built else []
    parts += [f"{wording.seconds(seen.sample_seconds)} per sample"] if seen.cost else []
    return f"Inspected: {', '.join(parts) or 'nothing, since the dataset could not be constructed'}."


def requests(base: Settings, pinned: dict[str, list[Any]]) -> Iterator[Settings]:
    """Every combination of the values that the user named; the base alone where none is named."""
    for values in itertools.product(*pinned.values()):
        yield replace(base, **dict(zip(pinned, values, strict=True)))


def unknown_is_refused(search: Search) -> None:
    """End with exit code 2 where the dataset's name turned out to stand for nothing."""
    error = search.seen.outcome.first("error")
    if error and error["type"] == "UnknownFactory":
        raise typer.BadParameter(f"dataset: {error['trace'].strip().rpartition('UnknownFactory: ')[2]}")


def tell(summary: Summary, json: bool, apply: bool) -> None:
    """Print the summary in the form that was asked for."""
    from rich.console import Console

    from lossimpl.loading.search.shown import show
    from lossimpl.loading.search.summary import paste

    if json:
        typer.echo(json_module.dumps(summary.record(), indent=2, default=str))
    elif apply and summary.answer.best:
        typer.echo(paste(summary.answer.best, summary.own_arguments))
    else:
        show(summary, Console(emoji=False, highlight=False))


def row_line(row: Measured) -> str:
    """A row as it comes: its rate, or why it has none.

    >>> from lossimpl.loading.search.measured import Measured
    >>> row_line(Measured("digits", {"batch_size": 8}, epoch_rate=1234.0))
    '     1,234 samples/s  batch_size=8'
    """
    from lossimpl import wording

    if row.status == "ok":
        return f"{wording.count(row.ranked_rate):>10} samples/s  {row.settings.text}"
    return f"{row.status:>10}            {row.settings.text}: {row.reason}"


def waiting_words(phase: str, seconds: float) -> str:
    """What takes so long, for a user who has seen nothing for a while."""
    what = {
        "import": "importing the dataset's module",
        "build": "constructing the dataset",
        "samples": "reading samples",
    }
    return f"still {what.get(phase, f'in phase {phase!r}')} after {seconds:.0f} s"


@contextmanager
def progress(budget: float, started: float, console: Console) -> Iterator[Any]:
    """A bar over the budget with what is done now; what must be seen anywhere is printed as a line of its own."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    console.print(f"Searching for {budget:.0f} s; first the dataset is inspected.")
    with Progress(*columns, console=console, transient=True, refresh_per_second=2) as bar:
        task = bar.add_task("inspecting the dataset", total=budget)

        def report(what: str, as_line: bool = False) -> None:
            bar.update(task, completed=min(budget, now() - started), description=what)
            if as_line:
                console.print(what)

        yield report


def parse_all(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The user's values by argument. Raises ValueError for a text that is not NAME=VALUE or has a wrong value."""
    pinned: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise ValueError(f"--set {text!r}: expected NAME=VALUE or NAME=VALUE,VALUE")
        pinned[name] = [value_of(one) for one in values.split(",")]
        for value in pinned[name]:
            if fault := type_fault(name, value):
                raise ValueError(f"--set {text!r}: {fault}")
    return pinned


def value_of(text: str) -> Any:
    """A value as it is written in Python or in JSON: numbers, true, false, none, else text.

    >>> [value_of(text) for text in ("2", "0.5", "True", "none", "spawn")]
    [2, 0.5, True, None, 'spawn']
    """
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
