"""`python -m reports loaders`: what the loader laboratory promises, measured on this machine."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lossimpl.loading.selftest.runs import Runs

RECORD, RUNS = "loaders-selftest.json", "loaders-runs.jsonl"
Part = StrEnum("Part", ["search", "overhead", "bottlenecks", "budget", "trainings"])  # typer has no lists of Literal


def loaders(
    parts: Annotated[list[Part] | None, typer.Argument(help="What to measure; default all, about three hours.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="A built-in dataset; repeat for several.")] = None,
    runs: Annotated[int | None, typer.Option(help="Runs of each part, instead of its own number.", min=1)] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after about so long; the same command goes on from there.", min=0.0)
    ] = None,
    results: Annotated[Path, typer.Option(help="The results folder, where the record is kept.")] = Path("results"),
) -> None:
    """Measure the search, its budget, and what `observe` finds, predicts and costs; other parts' results are kept.

    Each run is stored in `loaders-runs.jsonl` as it ends and not repeated; without that file all begins anew. Exit code
    3 where runs are left.
    """
    from lossimpl.environment import manifest
    from lossimpl.loading.search.store import Store
    from lossimpl.loading.selftest.runs import OutOfTime, Runs
    from lossimpl.machine import name

    path = results / name() / RECORD
    record: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    stamp = {"commit": str(manifest()["revision"])[:12]}
    done = Runs(Store(path.with_name(RUNS)), math.inf if minutes is None else 60 * minutes, report)
    for part in parts or Part:
        try:
            found = measured(part, dataset, runs, done)
        except OutOfTime:
            report(f"{part}: {len(done.store.records)} runs are stored; the same command goes on from there")
            raise typer.Exit(3) from None
        stamp["measured_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        record |= stamp | {part: merged(record.get(part), found)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")  # after each part, which takes minutes
        print(json.dumps({part: found}, indent=1))


def report(what: str) -> None:
    """Say what is done now."""
    print(what, file=sys.stderr, flush=True)


def measured(part: Part, datasets: Sequence[str] | None, count: int | None, runs: Runs) -> Any:
    """The results of one part."""
    from lossimpl.loading.harness.launcher import Zygote
    from lossimpl.loading.selftest import bottlenecks, budget, overhead, search, trainings

    def searched() -> Any:
        with closing(Zygote()) as zygote:
            names = datasets or search.DATASETS
            return [search.search_against_product(one, zygote, runs, count or 5) for one in names]

    run: dict[str, Callable[[], Any]] = {
        "search": searched,
        "overhead": lambda: overhead.all_overheads(datasets or overhead.DATASETS, runs),
        "bottlenecks": lambda: bottlenecks.bottlenecks(runs, count or 40),
        "budget": lambda: budget.budget(datasets or search.DATASETS, runs, count or 20),
        "trainings": lambda: trainings.trainings(runs, count or 1),
    }
    return run[part]()


def merged(before: Any, found: Any) -> Any:
    """New results of a list by dataset or training in place of old ones; other results are replaced whole.

    >>> merged([{"training": "text", "error": 1}, {"training": "tabular"}], [{"training": "text", "error": 2}])
    [{'training': 'tabular'}, {'training': 'text', 'error': 2}]
    """
    if not isinstance(found, list) or not isinstance(before, list):
        return found
    new = {identity(one) for one in found}
    return [*(one for one in before if identity(one) not in new), *found]


def identity(one: dict[str, Any]) -> tuple[Any, ...]:
    """What a result of a list is of."""
    return (one.get("dataset"), one.get("training"), one.get("what", "drive loop"), one.get("workers", 0))
