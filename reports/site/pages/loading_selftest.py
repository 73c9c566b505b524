"""How good the search for loader settings is, on each machine where `python -m reports loaders` measured it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossimpl import wording
from reports.site.material import Material
from reports.site.view import Cell, Table

SEARCH = (
    ("Dataset", ""), ("Of the best", "median samples/s in the run-off, chosen over best"),
    ("Of the time", "search over product"), ("Settings", "all valid combinations of the values that the search tries"),
    ("Product", "measuring all of them"), ("Search", "finding the answer, verdicts on the data included"),
    ("Chosen", "by the search"), ("Best of the product", "in the run-off"),
)  # fmt: skip
OVERHEAD = (
    ("Dataset", "without workers"), ("Epoch", "of the loop that does nothing"), ("Epochs", "of both loops, in turns"),
    ("Added", "by the drive loop to an epoch"), ("Interval", "of the median"),
)  # fmt: skip
Record = Mapping[str, Any]


def sections(material: Material) -> list[dict[str, Any]]:
    """One for each machine: what was found in a sentence, and both tables."""
    return [
        {
            "machine": machine,
            "reading": reading(record),
            "search": Table(
                "The search against the full product", SEARCH, [_searched(one) for one in record["search"]]
            ),
            "overhead": Table("What measuring adds", OVERHEAD, [_added(one) for one in record["overhead"]]),
        }
        for machine, record in material.results.loader_tests.items()
    ]


def reading(record: Record) -> str:
    """What the search reached, and what the drive loop adds.

    >>> reading({"search": [{"dataset": "digits", "chosen_of_best": 0.985, "share_of_time": 0.21}],
    ...          "overhead": [{"dataset": "digits", "added": 0.004}]})
    'On digits the search reached 98.5 % of the best rate in 21 % of the time, and the drive loop adds 0.4 %.'
    """
    found = [
        f"on {one['dataset']} the search reached {100 * one['chosen_of_best']:.1f} % of the best rate in "
        f"{100 * one['share_of_time']:.0f} % of the time"
        for one in record["search"]
        if "chosen_of_best" in one
    ]
    most = max((one["added"] for one in record["overhead"]), default=None)
    found += [f"and the drive loop adds {100 * max(0.0, most):.1f} %"] if most is not None else []
    text = ", ".join(found)
    return f"{text[:1].upper()}{text[1:]}."


def _searched(one: Record) -> list[Cell]:
    share = one.get("chosen_of_best")
    return [
        Cell(one["dataset"]),
        Cell(wording.NOTHING if share is None else f"{100 * share:.1f} %", sort=share),
        Cell(wording.percent(one["share_of_time"]), sort=one["share_of_time"]),
        Cell(str(one["settings"]), sort=one["settings"]),
        Cell(wording.seconds(one["product_seconds"]), sort=one["product_seconds"]),
        Cell(wording.seconds(one["search_seconds"]), sort=one["search_seconds"]),
        Cell(one["chosen"], kind="long"),
        Cell(one.get("best_of_product", wording.NOTHING), kind="long"),
    ]


def _added(one: Record) -> list[Cell]:
    low, high = (f"{100 * one[name]:.1f}" for name in ("added_low", "added_high"))
    return [
        Cell(one["dataset"]),
        Cell(wording.seconds(one["epoch_seconds"]), sort=one["epoch_seconds"]),
        Cell(str(one["epochs"]), sort=one["epochs"]),
        Cell(f"{100 * one['added']:.1f} %", sort=one["added"]),
        Cell(f"{low} to {high} %"),
    ]
