"""How well the search for loader settings works, on each machine where `python -m reports loaders` measured it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lossimpl import wording
from reports.site.material import Material
from reports.site.view import Cell, Table, number

SEARCH = (
    ("Dataset", ""), ("Of the best", "median samples/s of the final comparison, chosen over best"),
    ("Of the time", "search over product"), ("Settings", "all valid combinations of the values that the search tries"),
    ("Product", "time to measure all of them"), ("Search", "time to the answer, checks of the data included"),
    ("Chosen", "by the search"), ("Best of the product", "in the final comparison"),
)  # fmt: skip
OVERHEAD = (
    ("Dataset", ""), ("Measured", "the drive loop of a search, or a user's own loop under observe"), ("Workers", ""),
    ("Epoch", "of an empty loop"), ("Epochs", "of both loops, alternating"), ("Added", "to an epoch"),
    ("Interval", "of the median"),
)  # fmt: skip
NEAR_BEST = 0.95  # of the best rate
GAIN_ERROR = 0.2  # of the measured gain
Record = Mapping[str, Any]


def sections(material: Material) -> list[dict[str, Any]]:
    """Per machine: the result in a sentence, and both tables."""
    return [
        {
            "machine": machine,
            "reading": reading(record),
            "search": Table(
                "The search against measuring all combinations",
                SEARCH,
                [_searched(one) for one in part(record, "search")],
            ),
            "overhead": Table("What measuring adds", OVERHEAD, [_added(one) for one in part(record, "overhead")]),
        }
        for machine, record in material.results.loader_tests.items()
    ]


def part(record: Record, name: str) -> Sequence[Record]:
    """The results of a part that is a list; empty where it was not measured."""
    found: Sequence[Record] = record.get(name, [])
    return found


def reading(record: Record) -> str:
    """What each part that was measured showed.

    >>> reading({"search": [{"dataset": "digits", "chosen_of_best": 0.984, "share_of_time": 0.21}],
    ...          "overhead": [{"dataset": "digits", "added": 0.004}]})
    'On digits the search reached 98 % of the best rate in 21 % of the time; the drive loop adds 0.4 %.'
    """
    text = "; ".join([*_of_search(record), *_of_overhead(record), *_of_observe(record)])
    return f"{text[:1].upper()}{text[1:]}."


def _of_search(record: Record) -> Iterator[str]:
    """How near the chosen settings come to the best, in all searches and by dataset, and whether budgets were kept."""
    searches = part(record, "search")
    shares = [run["of_best"] for one in searches for run in one.get("runs", [])]
    if shares:
        asked = sum(one.get("searches", 0) for one in searches)
        good = sum(share >= NEAR_BEST for share in shares)
        yield f"the search came within 5 % of the best rate in {good} of {asked} runs"
    for one in searches:
        if "chosen_of_best" in one:
            reached, spent = wording.percent(one["chosen_of_best"]), wording.percent(one["share_of_time"])
            yield f"on {one['dataset']} the search reached {reached} of the best rate in {spent} of the time"
    if budget := record.get("budget"):
        yield f"it kept its budget in {budget['kept']} of {len(budget['runs'])} runs"


def _of_overhead(record: Record) -> Iterator[str]:
    """The most that measuring adds on any dataset."""
    added: dict[str, float] = {}
    for one in part(record, "overhead"):
        name = one.get("what", "drive loop")
        added[name] = max(one["added"], added.get(name, 0.0))
    for name, most in added.items():
        yield f"{'the drive loop' if name == 'drive loop' else name} adds {wording.percent(most)}"


def _of_observe(record: Record) -> Iterator[str]:
    """What `observe` finds and predicts."""
    if found := record.get("bottlenecks"):
        yield f"observe named the planted bottleneck in {found['named']} of {len(found['runs'])} runs"
    if trained := part(record, "trainings"):
        good = sum(abs(one["error"]) <= GAIN_ERROR for one in trained)
        yield f"its predicted gain was within 20 % of the measured one in {good} of {len(trained)} trainings"


def _searched(one: Record) -> list[Cell]:
    share = one.get("chosen_of_best")
    return [
        Cell(one["dataset"]),
        number(share, wording.percent),
        number(one["share_of_time"], wording.percent),
        Cell(str(one["settings"]), sort=one["settings"]),
        number(one["product_seconds"], wording.seconds),
        number(one["search_seconds"], wording.seconds),
        Cell(one["chosen"], kind="long"),
        Cell(one.get("best_of_product", wording.NOTHING), kind="long"),
    ]


def _added(one: Record) -> list[Cell]:
    return [
        Cell(one["dataset"]),
        Cell(one.get("what", "drive loop")),
        Cell(str(one.get("workers", 0)), sort=one.get("workers", 0)),
        number(one["epoch_seconds"], wording.seconds),
        Cell(str(one["epochs"]), sort=one["epochs"]),
        number(one["added"], wording.percent),
        Cell(f"{wording.percent(one['added_low'])} to {wording.percent(one['added_high'])}"),
    ]
