"""What the laboratory promises, measured on this machine: the search finds the best of the full product in a quarter
of its time, and the drive loop adds next to nothing to an epoch.

The product holds every valid combination of the values that a search tries, but `in_order=False`, which is never an
answer. The noisiest of many measurements is not the best of them: the chosen settings and the fastest of the product
are measured again in turns, and these medians are compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from lossimpl.loading.bench import Bench
from lossimpl.loading.counting import counter, full_size
from lossimpl.loading.launcher import Zygote
from lossimpl.loading.search import Search, rate
from lossimpl.loading.settings import Settings
from lossimpl.loading.space import default_axes, product
from lossimpl.loading.summary import summarise
from lossimpl.loading.timing import Drive, Extent, Trace
from lossimpl.loading.workload import make
from lossimpl.measure.threads import usable_cores
from lossimpl.measure.wall import now
from lossimpl.ranking import median_interval

SHARE = 0.25  # of the product's time, for the search
RIVALS, ROUNDS = 3, 5  # the fastest of the product that run off against the chosen settings, and how often each does
STALL_BOUND = 0.05
EPOCH_SECONDS = 20.0  # for the plain and the driven epochs of one dataset
FEWEST_EPOCHS = 8  # of either kind
Record = dict[str, Any]


def silent(what: str) -> None:
    """Tell nobody."""
    del what


def search_against_product(
    dataset: str, zygote: Zygote, seconds: float, tell: Callable[[str], None] = silent
) -> Record:
    """The chosen settings against the best of the full product, each setting of which is driven for `seconds`."""
    bench, base = Bench(dataset, zygote, step=0.0), Settings()
    facts = bench.facts(base)
    axes = {**default_axes(usable_cores(), facts), "in_order": (True,)}
    settings, started = product(base, axes, facts), now()
    tell(f"{dataset}: all {len(settings)} settings, {seconds:g} s each")
    rows = {one: bench.measure(one, seconds, verdict_seconds=0.0) for one in settings}
    whole, started = now() - started, now()
    tell(f"{dataset}: the search, within {SHARE * whole:.0f} s")
    search = Search(bench, base, axes, SHARE * whole)
    search.find()
    taken = now() - started
    best = summarise(search, STALL_BOUND, False)["best"]
    known = {
        "dataset": dataset,
        "settings": len(settings),
        "product_seconds": whole,
        "search_seconds": taken,
        "share_of_time": taken / whole,
        "busy_rows": sum(bool(row["busy"]) for row in rows.values()),
    }
    if best is None:
        return {**known, "chosen": "nothing"}
    chosen = Settings(**best["scenario"])
    tell(f"{dataset}: the run-off")
    fastest = sorted(settings, key=lambda one: -rate(rows[one]))[:RIVALS]
    again = run_off(bench, list(dict.fromkeys([chosen, *fastest])), seconds)
    winner = max(again, key=lambda one: again[one])
    return {
        **known,
        "chosen": chosen.text,
        "best_of_product": winner.text,
        "chosen_rate": again[chosen],
        "best_rate": again[winner],
        "chosen_of_best": again[chosen] / again[winner],
    }


def run_off(bench: Bench, settings: Sequence[Settings], seconds: float) -> dict[Settings, float]:
    """The median rate of each over rounds whose order is turned each time."""
    rates: dict[Settings, list[float]] = {one: [] for one in settings}
    for number in range(ROUNDS):
        for one in settings if number % 2 else reversed(settings):
            rates[one].append(rate(bench.measure(one, seconds, verdict_seconds=0.0)))
    return {one: median(found) for one, found in rates.items()}


def overhead(dataset: str, seconds: float = EPOCH_SECONDS) -> Record:
    """What the drive loop adds to an epoch without workers, as a share of the loop that does nothing.

    Plain and driven epochs in turns (ABBA), so that a drift of the machine touches both alike.
    """
    from torch.utils.data import DataLoader

    workload, settings = make(dataset), Settings()
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


def self_test(datasets: Sequence[str], seconds: float, tell: Callable[[str], None] = silent) -> Record:
    """Both questions for each dataset."""
    tell("what the drive loop adds")
    added = [overhead(one) for one in datasets]
    with Zygote() as zygote:
        found = [search_against_product(one, zygote, seconds, tell) for one in datasets]
    return {"search": found, "overhead": added}
