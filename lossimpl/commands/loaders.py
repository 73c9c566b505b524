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

if TYPE_CHECKING:
    from lossimpl.loading.bench import Bench
    from lossimpl.loading.search.search import Search
    from lossimpl.loading.search.store import Store

MILLISECOND = 1e-3


def loaders(
    dataset: Annotated[str, typer.Option(help="A built-in dataset, or MODULE:FACTORY of your own.")] = "photographs",
    batch_size: Annotated[
        list[int] | None, typer.Option(help="Samples per batch; repeat to compare; default 32.", min=1)
    ] = None,
    step_time: Annotated[float, typer.Option(help="Milliseconds per step of your training.", min=0.0)] = 10.0,
    consumer: Annotated[Kind, typer.Option(help="What the step does meanwhile: wait for a GPU, or compute.")] = "sleep",
    budget: Annotated[float, typer.Option(help="Seconds for the whole search.", min=1.0)] = 90.0,
    stall_bound: Annotated[float, typer.Option(help="Percent of waiting that you accept.", min=0.0, max=100.0)] = 5.0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE[,VALUE]: only these values of a DataLoader argument.")
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Results, one per line; an interrupted search is resumed from them.", dir_okay=False)
    ] = Path("lossimpl-loaders.jsonl"),
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Find the fastest settings of torch's DataLoader for your dataset that still deliver the same training data."""
    from rich.console import Console

    from lossimpl.loading.bench import Bench
    from lossimpl.loading.datasets import resolve
    from lossimpl.loading.harness.launcher import Zygote
    from lossimpl.loading.search.store import Store
    from lossimpl.loading.search.summary import show, summarise

    try:
        resolve(dataset)
        pinned = parse_all(settings or [])
        store = Store(output)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if batch_size:
        pinned["batch_size"] = list(batch_size)
    store.writable()  # before the minutes that fill it
    deadline = min(60.0, max(12.0, budget / 6))
    with closing(Zygote()) as zygote:
        bench = Bench(dataset, zygote, step_time * MILLISECOND, consumer, deadline)
        search = prepare(bench, pinned, budget, store)
        interrupted = run(search, pinned, Console(stderr=True))
        summary = summarise(search, stall_bound / 100, interrupted)
    store.put(summary.record())
    if json:
        typer.echo(json_module.dumps(summary.record(), indent=2, default=str))
    else:
        show(summary, Console())
    if interrupted or not summary.answer.best:
        raise typer.Exit(130 if interrupted else 1)


def prepare(bench: Bench, pinned: dict[str, list[Any]], budget: float, store: Store) -> Search:
    """The search over this dataset, with the user's values in place of the usual ones."""
    from lossimpl.loading.search.search import Search
    from lossimpl.loading.search.space import default_axes
    from lossimpl.measure.threads import usable_cores

    base = Settings()
    facts = bench.inspect(base).facts
    if facts.has_batch_sampler:
        base = replace(base, batch_size=1)
    worker_arguments = {"num_workers", *WORKER_DEFAULTS}
    fixed = {name: values[0] for name, values in pinned.items() if len(values) == 1 and name not in worker_arguments}
    axes = {
        **default_axes(usable_cores(), facts),
        **{name: values for name, values in pinned.items() if name not in fixed},
    }
    return Search(bench, replace(base, **fixed), axes, budget, store)


def run(search: Search, pinned: dict[str, list[Any]], console: Any) -> bool:
    """Run the search with a progress bar; whether it was interrupted. Invalid requests become rows that say why."""
    with progress(search, console):
        try:
            asked = list(requests(search.base, pinned))
            refused = [one for one in asked if invalid_reason(one, search.bench.inspect(one).facts)]
            for one in refused:
                search.measure(one, 0.0)
            if len(refused) < len(asked):
                search.run()
        except KeyboardInterrupt:
            return True
    return False


def requests(base: Settings, pinned: dict[str, list[Any]]) -> Iterator[Settings]:
    """Every combination of the values that the user named; the base alone where none is named."""
    for values in itertools.product(*pinned.values()):
        yield replace(base, **dict(zip(pinned, values, strict=True)))


@contextmanager
def progress(search: Search, console: Any) -> Iterator[None]:
    """A bar over the budget, with what is measured now and the time left."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, refresh_per_second=2) as bar:
        task = bar.add_task("inspecting the dataset", total=search.budget)

        def report(what: str) -> None:
            bar.update(task, completed=min(search.budget, search.budget - search.left), description=what)

        search.report = report
        yield


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
