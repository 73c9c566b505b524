"""Do this machine's intervals hold? The same session several times, and how often one covers the next one's estimates.

`coverage` compares sessions in the order of measuring: of each row that both measured, does the interval of the first
hold the estimate of the second? Times of a shared machine drift with its other guests; ratios and shares are paired
within rounds, where most of that cancels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median, quantiles, variance
from typing import Any

from lossimpl.machine import state
from lossimpl.ranking import Interval, over_rounds, student
from lossimpl.row import Row
from reports.sweep.summary import by_case

RECORD = "sweep-selftest.json"
PRECISION = 0.05  # half the width of a ratio's interval for which rounds are recommended
MOST_ROUNDS = 40
Series = dict[str, list[tuple[Interval, Sequence[float]]]]  # name -> per session: the estimate, and its rounds


def record_of(machine: str, sessions: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """What the sessions, oldest first, say about the machine."""
    series = {
        "time": gathered(sessions.values(), times),
        "ratio": gathered(sessions.values(), ratios),
        "share": gathered(sessions.values(), shares),
    }
    return {
        "machine": machine,
        "sessions": list(sessions),
        "rounds": round(median(len(rounds) for _, rounds in flat(series["time"]))),
        "coverage": {kind: coverage(one) for kind, one in series.items()},
        "between_share": round(between_share(series["time"]), 3),
        "smallest_difference": {kind: round(smallest_difference(one), 4) for kind, one in series.items()},
        "drift": round(drift(series["time"]), 4),
        "identical_series": flagged(series["share"]),
        "recommended_rounds": recommended_rounds(series["ratio"]),
    }


def write(record: Mapping[str, Any], folder: Path) -> Path:
    """Keep the record with the machine's results, and for `lossimpl doctor` with this user's state."""
    path = folder / RECORD
    for one in (path, state() / RECORD):
        one.parent.mkdir(parents=True, exist_ok=True)
        one.write_text(json.dumps(record, indent=1) + "\n")
    return path


def times(rows: Sequence[Row]) -> Iterator[tuple[str, Sequence[float]]]:
    """The seconds of each row in its quiet rounds."""
    for row in rows:
        yield name_of(row), [*row.times.values()]


def shares(rows: Sequence[Row]) -> Iterator[tuple[str, Sequence[float]]]:
    """The share of the ceiling of each row in its quiet rounds."""
    for row in rows:
        yield name_of(row), [*row.shares.values()]


def ratios(rows: Sequence[Row]) -> Iterator[tuple[str, Sequence[float]]]:
    """The time of each alternative over that of `native` in the rounds that both have."""
    for case in by_case(rows):
        native = next((row.times for row in case if row.implementation == "native"), {})
        for row in case:
            if row.implementation != "native":
                yield name_of(row), [time / native[number] for number, time in row.times.items() if number in native]


def name_of(row: Row) -> str:
    """The row in one line."""
    return " ".join((row.loss, row.implementation, row.shape, row.dtype, row.device, row.mode))


def gathered(sessions: Any, values: Any) -> Series:
    """The estimates of each name that has an interval in several sessions, in their order."""
    found: Series = {}
    for rows in sessions:
        for name, rounds in values([row for row in rows if row.status == "ok"]):
            if rounds and not math.isnan((estimate := over_rounds(rounds)).low):
                found.setdefault(name, []).append((estimate, rounds))
    return {name: estimates for name, estimates in found.items() if len(estimates) > 1}


def flat(series: Series) -> Iterator[tuple[Interval, Sequence[float]]]:
    """Every estimate of every name."""
    for estimates in series.values():
        yield from estimates


def steps(series: Series) -> Iterator[tuple[Interval, Interval]]:
    """The estimates of each two sessions that follow each other."""
    for estimates in series.values():
        yield from pairwise(estimate for estimate, _ in estimates)


def coverage(series: Series) -> dict[str, int]:
    """In how many rows the interval of a session holds the estimate of the next."""
    found = [one.low <= other.value <= one.high for one, other in steps(series)]
    return {"rows": len(found), "covered": sum(found)}


def smallest_difference(series: Series) -> float:
    """The difference that 5 % of unchanged rows exceed from one session to the next, as a fraction."""
    found = [abs(math.log(other.value / one.value)) for one, other in steps(series)]
    return math.expm1(quantiles(found, n=20, method="inclusive")[-1]) if len(found) > 1 else math.nan


def drift(series: Series) -> float:
    """The largest change that all rows have in common from one session to the next, as a fraction."""
    count = max((len(estimates) for estimates in series.values()), default=0)
    changes = [
        abs(
            median(
                math.log(one[index + 1][0].value / one[index][0].value) for one in series.values() if len(one) == count
            )
        )
        for index in range(count - 1)
    ]
    return math.expm1(max(changes, default=0.0))


def between_share(series: Series) -> float:
    """The part of the variance of log times that lies between sessions: the median over rows.

    Estimated as in a one-way analysis of variance: the variance of the sessions' means, less what their rounds explain.
    """
    found = []
    for estimates in series.values():
        logs = [[math.log(value) for value in rounds] for _, rounds in estimates]
        within = fmean(variance(one) for one in logs)
        between = max(0.0, variance([fmean(one) for one in logs]) - within / fmean(map(len, logs)))
        found.append(between / (between + within) if between + within else 0.0)
    return median(found) if found else math.nan


def flagged(series: Series) -> dict[str, int]:
    """How many of torch's rows, whose code is the same, have intervals that do not overlap in two sessions."""
    torch = {name: estimates for name, estimates in series.items() if name.split()[1] == "torch"}
    found = [one.low > other.high or other.low > one.high for one, other in steps(torch)]
    return {"rows": len(found), "flagged": sum(found)}


def recommended_rounds(series: Series) -> int:
    """The rounds after which half of the ratios have an interval of 5 % to each side."""
    spread = median(math.sqrt(variance([math.log(value) for value in rounds])) for _, rounds in flat(series))
    wanted = math.log1p(PRECISION)
    return next((n for n in range(5, MOST_ROUNDS) if student(n - 1) * spread * math.sqrt(2 / n) <= wanted), MOST_ROUNDS)
