"""The search against measuring the full product: are the chosen settings as fast as the best of all?

The product holds every valid combination of the values that a search tries, except `in_order=False`, which is never an
answer. The fastest of many single measurements is the luckiest, so the settings that the searches chose and the fastest
of the product meet again in rounds, each in another order, and are compared by their ratios within rounds.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from statistics import median
from typing import Any

from lossimpl.loading.bench import Bench
from lossimpl.loading.harness.launcher import Zygote
from lossimpl.loading.search.answer import choose
from lossimpl.loading.search.race import Race
from lossimpl.loading.search.search import Report, Search, silent
from lossimpl.loading.search.space import default_axes, product
from lossimpl.loading.search.store import Record
from lossimpl.loading.settings import Settings
from lossimpl.measure.threads import usable_cores
from lossimpl.measure.wall import now

DATASETS = ("photographs", "digits", "tabular", "sequences", "sqlite", "stream", "reads", "decodes")
FASTEST = 4  # of the product, that meet the chosen settings
ROUNDS = 7  # of the last comparison
STALL_BOUND = 0.05
SECONDS = 0.5  # of driving for each setting of the product


def search_against_product(
    dataset: str, zygote: Zygote, runs: int = 5, budget: float = 60.0, report: Report = silent
) -> Record:
    """What so many searches chose, each as a share of the best rate."""
    bench = Bench(dataset, zygote, step=0.0)
    facts, started = bench.inspect(Settings()).facts, now()
    axes = {**default_axes(usable_cores(), facts), "in_order": (True,)}
    settings = product(Settings(), axes, facts)
    report(f"{dataset}: all {len(settings)} settings")
    race = raced(bench, settings, 1)
    rated = raced(bench, race.alive[: 2 * FASTEST], 3, race)
    spent = now() - started
    searches = [one_search(dataset, zygote, budget, number, report) for number in range(runs)]
    report(f"{dataset}: the finalists again")
    chosen = [one["chosen"] for one in searches if one["chosen"] is not None]
    final = raced(bench, dict.fromkeys([*chosen, *rated.alive[:FASTEST]]), ROUNDS)
    shares = [share_of_best(final, one) for one in chosen]
    return {
        "dataset": dataset,
        "settings": len(settings),
        "product_seconds": spent,
        "search_seconds": median(one["seconds"] for one in searches),
        "share_of_time": median(one["seconds"] for one in searches) / spent,
        "busy_rows": sum(one["busy_rows"] for one in searches),
        "chosen": chosen[0].text if chosen else "nothing",
        "best_of_product": final.alive[0].text,
        "chosen_of_best": median(shares) if shares else 0.0,
        "runs": [{"chosen": one.text, "of_best": share} for one, share in zip(chosen, shares, strict=True)],
        "searches": runs,
    }


def one_search(dataset: str, zygote: Zygote, budget: float, seed: int, report: Report) -> dict[str, Any]:
    """One search as a user would run it, with a bench of its own; the settings that it chose."""
    report(f"{dataset}: search {seed + 1}")
    bench, started = Bench(dataset, zygote, step=0.0), now()
    bench.seed = seed
    search = Search(bench, Settings(), {}, budget)
    search.axes = default_axes(usable_cores(), bench.inspect(Settings()).facts)
    if search.possible():
        search.find()
    best = choose(search.merged_rows(), STALL_BOUND).best
    busy = sum(bool(row.busy) for row in search.rows)
    return {"chosen": best and best.settings, "seconds": now() - started, "busy_rows": busy, "rows": len(search.rows)}


def raced(bench: Bench, settings: Iterable[Settings], rounds: int, race: Race | None = None) -> Race:
    """So many rounds over all settings, each round in another order."""
    race, listed = race or Race(), list(settings)
    first = 1 + max(race.numbers, default=-1)
    for number in range(first, first + rounds):
        for one in random.Random(number).sample(listed, len(listed)):
            race.note(one, number, bench.measure(one, SECONDS, verdict_seconds=0.0))
    return race


def share_of_best(race: Race, settings: Settings) -> float:
    """The rate of one setting as a share of the best one's: the median over the rounds of their ratios."""
    best, own = race.rates[race.alive[0]], race.rates.get(settings, {})
    return median(own[number] / best[number] for number in own) if own else 0.0
