"""What the search and the drive loop promise, measured on this machine.

The search finds the best of the full product in a quarter of its time, and the drive loop adds next to nothing to an
epoch. The product holds every valid combination of the values that a search tries, except `in_order=False`, which is
never an answer. The fastest of many measurements may be the noisiest: the chosen settings and the fastest of the
product are measured again in turns, and these medians are compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from statistics import median
from typing import Any

from lossimpl.loading.bench import Bench
from lossimpl.loading.datasets import resolve
from lossimpl.loading.harness.launcher import Zygote
from lossimpl.loading.search.answer import choose
from lossimpl.loading.search.search import Report, Search, silent
from lossimpl.loading.search.space import default_axes, product
from lossimpl.loading.search.store import Record
from lossimpl.loading.search.summary import latest
from lossimpl.loading.settings import Settings
from lossimpl.loading.timing.counting import counter, full_size
from lossimpl.loading.timing.drive import Drive, Extent, Trace
from lossimpl.loading.workload import make
from lossimpl.measure.threads import usable_cores
from lossimpl.measure.wall import now
from lossimpl.ranking import median_interval

SHARE = 0.25  # of the product's time, for the search
FINALISTS, ROUNDS = 3, 5  # the fastest of the product, measured again beside the chosen settings; how often each
STALL_BOUND = 0.05
EPOCH_SECONDS = 20.0  # for the plain and the driven epochs of one dataset
FEWEST_EPOCHS = 8  # of either kind


def search_against_product(dataset: str, zygote: Zygote, seconds: float, report: Report = silent) -> Record:
    """The chosen settings against the best of the full product, each of which is driven for `seconds`."""
    bench, base = Bench(dataset, zygote, step=0.0), Settings()
    facts = bench.inspect(base).facts
    axes = {**default_axes(usable_cores(), facts), "in_order": (True,)}
    settings, started = product(base, axes, facts), now()
    report(f"{dataset}: all {len(settings)} settings, {seconds:g} s each")
    rows = {one: bench.measure(one, seconds, verdict_seconds=0.0) for one in settings}
    whole, started = now() - started, now()
    report(f"{dataset}: the search, within {SHARE * whole:.0f} s")
    search = Search(bench, base, axes, SHARE * whole)
    search.find()
    taken = now() - started
    best = choose(latest(search.rows), STALL_BOUND).best
    known = {
        "dataset": dataset,
        "settings": len(settings),
        "product_seconds": whole,
        "search_seconds": taken,
        "share_of_time": taken / whole,
        "busy_rows": sum(bool(row.busy) for row in rows.values()),
    }
    if best is None:
        return {**known, "chosen": "nothing"}
    report(f"{dataset}: the finalists again")
    fastest = sorted(settings, key=lambda one: -rows[one].ranked_rate)[:FINALISTS]
    return {**known, **chosen_against(bench, best.settings, fastest, seconds)}


def chosen_against(bench: Bench, chosen: Settings, fastest: Sequence[Settings], seconds: float) -> Record:
    """The chosen settings and the fastest of the product, measured again beside each other."""
    again = remeasure(bench, list(dict.fromkeys([chosen, *fastest])), seconds)
    winner = max(again, key=lambda one: again[one])
    return {
        "chosen": chosen.text,
        "best_of_product": winner.text,
        "chosen_rate": again[chosen],
        "best_rate": again[winner],
        "chosen_of_best": again[chosen] / again[winner],
    }


def remeasure(bench: Bench, settings: Sequence[Settings], seconds: float) -> dict[Settings, float]:
    """The median rate of each over rounds whose order is reversed each time."""
    rates: dict[Settings, list[float]] = {one: [] for one in settings}
    for number in range(ROUNDS):
        for one in settings if number % 2 else reversed(settings):
            rates[one].append(bench.measure(one, seconds, verdict_seconds=0.0).ranked_rate)
    return {one: median(found) for one, found in rates.items()}


def overhead(dataset: str, seconds: float = EPOCH_SECONDS) -> Record:
    """What the drive loop adds to an epoch without workers, as a share of a loop that does nothing.

    Plain and driven epochs in turns (ABBA), so that a drift of the machine affects both alike.
    """
    from torch.utils.data import DataLoader

    workload, settings = make(resolve(dataset)), Settings()
    loader: Any = DataLoader(workload.dataset, batch_size=settings.batch_size)
    set_epoch = workload.set_epoch or (lambda epoch: None)
    drive = Drive(loader, set_epoch, counter(workload, settings), full_size(workload, settings))
    trace, forever = Trace(), Extent(math.inf)

    def plain() -> float:
        started = now()
        set_epoch(0)
        for _ in loader:
            pass
        return now() - started

    def driven() -> float:
        started = now()
        drive.epoch(trace, forever, None, None)
        return now() - started

    expected = min(plain() for _ in range(3))
    driven()
    added = []
    for _ in range(max(FEWEST_EPOCHS // 2, int(seconds / expected / 4))):
        first, second, third, fourth = plain(), driven(), driven(), plain()
        added.append((second + third) / (first + fourth) - 1)
    middle, low, high = median_interval(added)
    return {
        "dataset": dataset,
        "epoch_seconds": expected,
        "epochs": 2 * len(added),
        "added": middle,
        "added_low": low,
        "added_high": high,
    }


def self_test(datasets: Sequence[str], seconds: float, report: Report = silent) -> Record:
    """Both promises for each dataset."""
    report("what the drive loop adds")
    added = [overhead(one) for one in datasets]
    with closing(Zygote()) as zygote:
        found = [search_against_product(one, zygote, seconds, report) for one in datasets]
    return {"search": found, "overhead": added}
