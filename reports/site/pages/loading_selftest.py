"""How well the search for loader settings works, on each machine where `python -m reports loaders` measured it."""

from __future__ import annotations

from collections.abc import Mapping
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
    ("Dataset", "without workers"), ("Epoch", "of an empty loop"), ("Epochs", "of both loops, alternating"),
    ("Added", "by the drive loop to an epoch"), ("Interval", "of the median"),
)  # fmt: skip
Record = Mapping[str, Any]


def sections(material: Material) -> list[dict[str, Any]]:
    """Per machine: the result in a sentence, and both tables."""
    return [
        {
            "machine": machine,
            "reading": reading(record),
            "search": Table(
                "The search against measuring all combinations", SEARCH, [_searched(one) for one in record["search"]]
            ),
            "overhead": Table("What measuring adds", OVERHEAD, [_added(one) for one in record["overhead"]]),
        }
        for machine, record in material.results.loader_tests.items()
    ]


def reading(record: Record) -> str:
    """What the search reached, and what the drive loop adds.

    >>> reading({"search": [{"dataset": "digits", "chosen_of_best": 0.984, "share_of_time": 0.21}],
    ...          "overhead": [{"dataset": "digits", "added": 0.004}]})
    'On digits the search reached 98 % of the best rate in 21 % of the time, and the drive loop adds 0.4 %.'
    """
    found = [
        f"on {one['dataset']} the search reached {wording.percent(one['chosen_of_best'])} of the best rate in "
        f"{wording.percent(one['share_of_time'])} of the time"
        for one in record["search"]
        if "chosen_of_best" in one
    ]
    most = max((one["added"] for one in record["overhead"]), default=None)
    found += [f"and the drive loop adds {wording.percent(max(0.0, most))}"] if most is not None else []
    text = ", ".join(found)
    return f"{text[:1].upper()}{text[1:]}."


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
        number(one["epoch_seconds"], wording.seconds),
        Cell(str(one["epochs"]), sort=one["epochs"]),
        number(one["added"], wording.percent),
        Cell(f"{wording.percent(one['added_low'])} to {wording.percent(one['added_high'])}"),
    ]
