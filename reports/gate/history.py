"""What the record of the merge base says before anything is timed: on which rows pairs cannot show the effect here.

A round times all implementations of a case in turns in one process, as a pair times both revisions. If a row's time and
its ratio to every other implementation of its case scatter so much from round to round that the most pairs of a stage
could not show a change of the threshold, time spent on the row is taken from rows that can be decided. Such a row is
still measured up to its first look, and further if that shows a suspicious change: large regressions are found in
unsteady rows too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lossimpl import machine
from lossimpl.building import run
from reports.gate.design import MOST_PAIRS, RATE
from reports.record.rounds import counted
from reports.record.rows import LOSS_PARAMETERS, Row
from reports.record.stored import Stored
from reports.statistics.noise import spread
from reports.statistics.power import detectable_ratio

COMMITS = 30  # of main up to the merge base, whose rounds count
FEWEST = 10  # rounds from which on a row's noise is known
DIGITS = 8  # of a commit in the names of result files
CASE = ("env", "commit", "session", "loss", *LOSS_PARAMETERS[1:])
Times = Mapping[int, float]  # seconds by the number of the round
Ratios = npt.NDArray[np.float64]


def of(repository: Path, base: str) -> dict[Row, float]:
    """The noise of each row by main's history up to `base`; empty unless this machine has a record of `base` itself.

    Raises ValueError if LOSSIMPL_MACHINE is no name of a machine.
    """
    results, name = repository / "results", machine.name()
    if not any((results / name).glob(f"{base[:DIGITS]}-*.json")):
        return {}
    return noises(results, name, _history(repository, base))


def is_hopeless(noise: float, effect: float) -> bool:
    """Whether the most pairs of a stage cannot show a change of `effect` beside this noise.

    >>> is_hopeless(noise=0.05, effect=0.05), is_hopeless(noise=0.5, effect=0.05)
    (False, True)
    """
    return detectable_ratio(noise, MOST_PAIRS, RATE) > 1 + effect


def noises(results: Path, name: str, commits: Sequence[str]) -> dict[Row, float]:
    """By row, the least scatter of its log times: by themselves, or beside another implementation of its case."""
    found: dict[tuple[Row, str], list[Ratios]] = defaultdict(list)
    for case in _cases(results, name, commits):
        for row, times in case.items():
            found[row, row.implementation].append(_ratios(times, dict.fromkeys(times, 1.0)))
        for (row, times), (other, beside) in permutations(case.items(), 2):
            found[row, other.implementation].append(_ratios(times, beside))
    noise: dict[Row, float] = {}
    for (row, _), ratios in found.items():
        if sum(map(len, ratios)) >= FEWEST:
            noise[row] = min(noise.get(row, np.inf), spread(np.concatenate(ratios)))
    return noise


def _ratios(times: Times, beside: Times) -> Ratios:
    """The log ratios of two rows in the rounds that both have, about their median: a session's level is no noise."""
    logs: Ratios = np.log(np.array([times[number] / beside[number] for number in sorted(times.keys() & beside.keys())]))
    return logs - float(np.median(logs)) if logs.size else logs


def _history(repository: Path, base: str) -> list[str]:
    """The newest commits of main up to the merge base, as the record names them."""
    lines = run(["git", "rev-list", "--first-parent", f"--max-count={COMMITS}", base], repository).stdout.split()
    return [commit[:DIGITS] for commit in lines]


def _cases(results: Path, name: str, commits: Sequence[str]) -> Iterator[dict[Row, Times]]:
    """The rows of each case of each session of these commits, with the times of their rounds."""
    sql = f"""
        SELECT {", ".join(CASE)}, benchmark, params, status, rounds FROM rows
        WHERE machine = ? AND list_contains(?, commit) AND rounds IS NOT NULL AND loss IS NOT NULL"""
    rows = Stored.of(results).queries.connection.sql(sql, params=[name, list(commits)]).to_arrow_table().to_pylist()
    cases: dict[tuple[str, ...], dict[Row, Times]] = defaultdict(dict)
    for row in rows:
        times = {one["number"]: one["seconds"] for one in counted(row["rounds"], row["status"]) if one["seconds"] > 0}
        cases[tuple(row[name] for name in CASE)][Row.of(row)] = times
    yield from cases.values()
