"""A row's rounds as the numbers of its session: time and share of the ceiling, each with its interval between runs.

A round is one fresh process that timed all implementations of a case, so two rows of a case are compared round by
round: `times` and `ceilings` keep the numbers of each round for that. `lossimpl.row.Row` says the same of a row that is
being measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from lossimpl.measure import roofline
from lossimpl.ranking import Interval, over_rounds

Record = dict[str, Any]


def counted(rounds: Sequence[Record], status: Any) -> list[Record]:
    """The rounds whose times count: those that nothing disturbed, or all of a row that is disturbed.

    >>> quiet, busy = {"number": 1, "busy": ""}, {"number": 2, "busy": "other processes took 60%"}
    >>> [one["number"] for one in counted([quiet, busy], "ok")]
    [1]
    """
    return [one for one in rounds if status == "disturbed" or not one["busy"]]


def over_session(measured: Sequence[Record], status: Any, traffic: Any) -> Record:
    """The fields of a row that follow from the rounds that were `measured`, its `status` and the bytes it must move.

    A disturbed row has a time and a share, but no interval: its rounds are no sample of what the next session measures.
    """
    rounds = counted(measured, status)
    times = {one["number"]: float(one["seconds"]) for one in rounds}
    ceilings = {one["number"]: float(one["ceiling"]) for one in rounds if one.get("ceiling")}
    time = _interval(times, status)
    share = _interval(_shares(times, ceilings, traffic), status)
    return {
        **{"value": time.value, "low": time.low, "high": time.high},
        **{"share": share.value, "share_low": share.low, "share_high": share.high},
        **{"times": times, "ceilings": ceilings, "ceiling": _interval(ceilings, status).value},
        "number": median([one["calls"] for one in rounds if one.get("calls")] or [math.nan]),
        "busy": busy_words(measured),
    }


def _shares(times: Mapping[int, float], ceilings: Mapping[int, float], traffic: Any) -> dict[int, float]:
    """The share of the ceiling by round, for the rounds that have a ceiling; none for a row without traffic."""
    if not isinstance(traffic, int | float) or not 0 < traffic < 1e300:
        return {}
    return {
        number: roofline.share(int(traffic), time, ceilings[number])
        for number, time in times.items()
        if 0 < ceilings.get(number, 0.0) < math.inf
    }


def _interval(by_round: Mapping[int, float], status: Any) -> Interval:
    if not by_round:
        return Interval(math.nan, math.nan, math.nan)
    found = over_rounds([*by_round.values()])
    return found._replace(low=math.nan, high=math.nan) if status == "disturbed" else found


def busy_words(rounds: Sequence[Record]) -> str:
    """How many rounds were disturbed, and how the first one was; empty if none was.

    >>> busy_words([{"busy": ""}, {"busy": "other processes took 60% of the processor time"}])
    '1 of 2 rounds: other processes took 60% of the processor time'
    """
    found = [one["busy"] for one in rounds if one["busy"]]
    return f"{len(found)} of {len(rounds)} rounds: {found[0]}" if found else ""
