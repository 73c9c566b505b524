"""What a search measures beside its settings, while there is time: what each argument changes, a cold page cache, other
loaders, the shards of distributed training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

from lossimpl.loading.search import distributed, matrix, peers
from lossimpl.loading.search.store import Record
from lossimpl.loading.settings import Settings

if TYPE_CHECKING:
    from lossimpl.loading.search.search import Search

SECONDS_FOR_A_PEER, SECONDS_FOR_TORCHRUN = 5.0, 15.0


def measure(search: Search, settings: Settings) -> None:
    """The matrix of arguments, then what is compared with `settings`, the best ones."""
    explain(search)
    for kind, name, seconds, answer in comparisons(search, settings):
        if search.left > seconds + search.cost(settings):
            search.report(name)
            search.others.append(search.ask(kind, settings, answer, name=name))


def explain(search: Search) -> None:
    """The matrix of arguments."""
    seen = search.bench.inspect(search.base)
    for change in matrix.changes(search.base, seen.facts, seen.has):
        samples = search.bench.verdict_samples(change.settings, search.verdict_seconds / 2)
        if search.left < search.verdict_cost(change.settings):
            return
        search.report(f"what {change.argument} changes")
        answer = partial(matrix.effect, search.bench, search.base, change, samples)
        more = {"argument": change.argument, "samples": samples}
        search.effects.append(search.ask("argument", change.settings, answer, **more))


def comparisons(search: Search, settings: Settings) -> Iterator[tuple[str, str, float, Callable[[], Record]]]:
    """Kind and name of each line, the seconds that it may take, and how to measure it."""
    bench, facts = search.bench, search.bench.inspect(search.base).facts
    if bench.inspect(settings).files:
        yield "cold", "the first reading from disk", 1.0, partial(cold, search, settings)
    for peer in peers.PEERS:
        answer = partial(peers.measure, bench, peer, settings, search.driving)
        yield "peer", f"the peer {peer}", SECONDS_FOR_A_PEER, answer
    if not facts.iterable and facts.length:
        yield (
            "distributed",
            "the shards of DistributedSampler",
            SECONDS_FOR_TORCHRUN,
            partial(distributed.measure, bench),
        )


def cold(search: Search, settings: Settings) -> Record:
    """The line of these settings after the kernel was asked to forget the dataset's files."""
    row = replace(search.bench.blank(settings), kind="cold")
    return asdict(search.bench.time(row, search.driving, cold=True))
