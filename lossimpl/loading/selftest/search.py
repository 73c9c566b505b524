"""The search against measuring the full product: are the chosen settings as fast as the best of all?

The product holds every valid combination of the values that a search tries, except `in_order=False`, which is never an
answer. The fastest of many single measurements is the luckiest, so the settings that the searches chose and the fastest
of the product meet again in rounds, each in another order, and are compared by their ratios within rounds.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median

from lossimpl.loading.bench import Bench
from lossimpl.loading.harness.launcher import Zygote
from lossimpl.loading.search.answer import choose
from lossimpl.loading.search.race import Race
from lossimpl.loading.search.search import Search
from lossimpl.loading.search.space import default_axes, product
from lossimpl.loading.search.store import Record
from lossimpl.loading.selftest.runs import Runs
from lossimpl.loading.settings import Settings, from_request
from lossimpl.measure.threads import usable_cores
from lossimpl.measure.wall import now

DATASETS = ("photographs", "digits", "tabular", "sequences", "sqlite", "stream", "reads", "decodes")
FASTEST = 4  # of the product, that meet the chosen settings
ROUNDS = 7  # of the last comparison
STALL_BOUND = 0.05
SECONDS = 0.5  # of driving for each setting of the product
TOGETHER, SECONDS_TOGETHER = 8, 120.0  # settings that are stored as one run, and what they take with slow starts


def search_against_product(dataset: str, zygote: Zygote, runs: Runs, searches: int = 5, budget: float = 60.0) -> Record:
    """What so many searches chose, each as a share of the best rate."""
    bench = Bench(dataset, zygote, step=0.0)
    facts = bench.inspect(Settings()).facts
    axes = {**default_axes(usable_cores(), facts), "in_order": (True,)}
    settings = product(Settings(), axes, facts)
    first = raced(bench, settings, range(1), runs)
    rated = raced(bench, first.alive[: 2 * FASTEST], range(1, 4), runs, first)
    found = [
        runs.do(
            {"search": number, "dataset": dataset, "budget": budget},
            partial(one_search, dataset, zygote, budget, number),
            1.2 * budget,
        )
        for number in range(searches)
    ]
    chosen = [from_request(one["chosen"]) for one in found if one["chosen"]]
    final = raced(bench, dict.fromkeys([*chosen, *rated.alive[:FASTEST]]), range(10, 10 + ROUNDS), runs)
    return {"dataset": dataset, "settings": len(settings), **compared(final, chosen, found, rated.seconds)}


def compared(final: Timed, chosen: Sequence[Settings], found: Sequence[Record], spent: float) -> Record:
    """The chosen settings against the best of the last rounds; `spent` seconds went into the product."""
    shares = [share_of_best(final, one) for one in chosen]
    taken = median(one["seconds"] for one in found)
    return {
        "product_seconds": spent,
        "search_seconds": taken,
        "share_of_time": taken / spent if spent else 0.0,
        "busy_rows": sum(one["busy_rows"] for one in found),
        "chosen": chosen[0].text if chosen else "nothing",
        "best_of_product": final.alive[0].text,
        "chosen_of_best": median(shares) if shares else 0.0,
        "runs": [{"chosen": one.text, "of_best": share} for one, share in zip(chosen, shares, strict=True)],
        "searches": len(found),
    }


def one_search(dataset: str, zygote: Zygote, budget: float, seed: int) -> Record:
    """One search as a user would run it, with a bench of its own; the settings that it chose."""
    bench, started = Bench(dataset, zygote, step=0.0), now()
    bench.seed = seed
    search = Search(bench, Settings(), {}, budget)
    search.axes = default_axes(usable_cores(), bench.inspect(Settings()).facts)
    if search.possible():
        search.find()
    best = choose(search.merged_rows(), STALL_BOUND).best
    busy = sum(bool(row.busy) for row in search.rows)
    return {
        "chosen": asdict(best.settings) if best else None,
        "seconds": now() - started,
        "busy_rows": busy,
        "rows": len(search.rows),
    }


@dataclass
class Timed(Race):
    """A race that knows the seconds that it took."""

    seconds: float = 0.0


def raced(
    bench: Bench, settings: Iterable[Settings], rounds: Iterable[int], runs: Runs, race: Timed | None = None
) -> Timed:
    """These rounds over all settings, each in another order and stored in parts of a minute or two."""
    race, listed = race or Timed(), list(settings)
    for number in rounds:
        order = random.Random(number).sample(listed, len(listed))
        for start in range(0, len(order), TOGETHER):
            some = order[start : start + TOGETHER]
            question = {"round": number, "dataset": bench.dataset, "settings": [one.text for one in some]}
            found = runs.do(question, partial(rates, bench, some), SECONDS_TOGETHER)
            race.seconds += found["seconds"]
            for one, rate in zip(some, found["rates"], strict=True):
                race.note(one, number, rate)
    return race


def rates(bench: Bench, settings: Sequence[Settings]) -> Record:
    """The rate of each of these settings, 0 where it failed, and the seconds that they took."""
    started = now()
    found = [bench.measure(one, SECONDS, verdict_seconds=0.0).ranked_rate for one in settings]
    return {"rates": found, "seconds": now() - started}


def share_of_best(race: Race, settings: Settings) -> float:
    """The rate of one setting as a share of the best one's: the median over the rounds of their ratios."""
    best, own = race.rates[race.alive[0]], race.rates.get(settings, {})
    return median(own[number] / best[number] for number in own) if own else 0.0
