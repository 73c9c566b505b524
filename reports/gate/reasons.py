"""Codes that say what stood between a row and a firmer verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from reports.gate.design import Verdict
from reports.statistics import drifts, is_bimodal

BUSY = 0.15  # share of processor time that other processes took during a worker
STOLEN = 0.02  # the same for the hypervisor; at 2 % a median moves by about as much as it is precise
THROTTLED = 1.15  # a fixed loop this much slower than in the best tenth of the workers
OFTEN = 0.25  # share of the workers from which on a trouble is told

TEXTS = {
    "too-few-pairs": "too few pairs",
    "machine-busy": "machine busy",
    "clock-throttled": "clock throttled",
    "bimodal": "bimodal times",
    "drift": "times drift",
}


def of_machine(workers: Sequence[dict[str, float]]) -> list[str]:
    """What the machine did during the workers: busy with others, or running at another clock.

    >>> of_machine([{"others": 0.5, "steal": 0.0, "loop": 1e-3}] * 4)
    ['machine-busy']
    """
    if not workers:
        return []
    busy = [one["others"] > BUSY or one["steal"] > STOLEN for one in workers]
    loops = np.array([one["loop"] for one in workers])
    slow = loops > THROTTLED * np.quantile(loops, 0.1)
    found = {"machine-busy": np.mean(busy), "clock-throttled": np.mean(slow)}
    return [code for code, share in found.items() if share > OFTEN]


def clock_alone(device: Mapping[str, float], effect: float) -> bool:
    """Whether a GPU took as many cycles on both sides: then a slower time is its clock's doing and not the code's.

    >>> clock_alone({"base_cycles": 1000.0, "head_cycles": 1004.0}, 0.05), clock_alone({}, 0.05)
    (True, False)
    """
    base, head = device.get("base_cycles"), device.get("head_cycles")
    if not base or not head:
        return False
    return abs(math.log(head / base)) < math.log1p(effect) / 2


def of_row(verdict: Verdict, base: Sequence[float], head: Sequence[float], effect: float) -> list[str]:
    """What a row's own times show: too few for its noise, two groups, or a drift over the run."""
    found = []
    if verdict.verdict == "inconclusive" and verdict.pairs < verdict.pairs_needed:
        found.append("too-few-pairs")
    sides = [np.log(side) for side in (base, head) if side]
    if any(is_bimodal(side) for side in sides):
        found.append("bimodal")
    if any(drifts(side, effect) for side in sides):
        found.append("drift")
    return found
