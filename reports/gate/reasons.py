"""Codes for what prevented a firmer verdict on a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from reports.gate.design import Verdict
from reports.statistics.noise import drifts, is_bimodal

BUSY = 0.15  # share of processor time that other processes took while a worker ran
STOLEN = 0.02  # the same for the hypervisor; 2 % change a median by about its precision
THROTTLED = 1.15  # a fixed loop this much slower than in the best tenth of the workers
OFTEN = 0.25  # share of the workers from which on a disturbance is reported

TEXTS = {
    "too-few-pairs": "too few pairs",
    "machine-busy": "machine busy",
    "clock-throttled": "clock throttled",
    "bimodal": "bimodal times",
    "drift": "times drift",
    "unsteady": "scatters too much in the record of main on this machine",
}


def of_machine(workers: Sequence[dict[str, float]]) -> list[str]:
    """Whether the machine was busy with other processes, or running at a lower clock.

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
    """Whether a GPU took the same number of cycles on both sides, so that only its clock changed the time.

    >>> clock_alone({"base_cycles": 1000.0, "head_cycles": 1004.0}, 0.05), clock_alone({}, 0.05)
    (True, False)
    """
    base, head = device.get("base_cycles"), device.get("head_cycles")
    if not base or not head:
        return False
    return abs(math.log(head / base)) < math.log1p(effect) / 2


def of_row(verdict: Verdict, base: Sequence[float], head: Sequence[float], effect: float) -> list[str]:
    """What the times of a row show: too few for their noise, two groups, or a drift."""
    found = []
    if verdict.verdict == "inconclusive" and verdict.pairs < verdict.pairs_needed:
        found.append("too-few-pairs")
    sides = [np.log(side) for side in (base, head) if side]
    if any(is_bimodal(side) for side in sides):
        found.append("bimodal")
    if any(drifts(side, effect) for side in sides):
        found.append("drift")
    return found
