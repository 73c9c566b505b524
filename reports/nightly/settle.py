"""A change point measured again: did a commit cause it, and which, by pairs of processes of both commits.

A history has one value per night. A few busy nights look like a step there, and among noisy nights no method can tell
at which of them a step of twice the noise began (docs/change-points.md has the bound). But the commits can be measured
again: pairs of fresh processes, one of each commit in random order, show what changed whatever else the machine does.
`reports.gate.design` judges the pairs, with the same error rate.

First the named commit is compared with the one before it. If the row does not differ by half of what the history shows,
the commits `REACH` before and after are compared. If these are the same within the effect threshold, or show no change
and their interval excludes half of the history's, the machine caused the step. If they differ, bisection finds the
first commit with half of their difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from lossimpl import wording
from lossimpl.building import Unmeasurable
from reports.gate.design import Verdict
from reports.statistics.changes import EFFECT, Finding
from reports.statistics.paired import Estimate

REACH = 10  # measured commits; among noisy nights a change point is seldom farther off

# Compares an older and a newer commit at an effect threshold: one verdict per finding.
Compare = Callable[[str, str, Sequence[Finding], float], list[Verdict]]


def settle(found: Sequence[Finding], compare: Compare) -> list[Finding]:
    """The findings, in their order, with the result of measuring them again: `again`, `stands`, ratio and commits.

    A finding stands unless pairs refute it; one that could not be measured again stands too, with the reason.
    """
    settled = list(found)
    for place in dict.fromkeys((one.before, one.commit) for one in found):
        indices = [index for index, one in enumerate(found) if (one.before, one.commit) == place]
        group = [found[index] for index in indices]
        for index, one in zip(indices, _settled(group, compare), strict=True):
            settled[index] = one
    return settled


def _settled(group: list[Finding], compare: Compare) -> list[Finding]:
    """Settle the findings at one commit; rows that did not change there are compared further, one by one."""
    try:
        verdicts = compare(group[0].before, group[0].commit, group, min(_half(one.ratio) for one in group))
    except Unmeasurable as failure:
        return [_unmeasured(one, failure) for one in group]
    return [
        _concluded(one, verdict, one.before, one.commit) if verdict.verdict == one.verdict else _searched(one, compare)
        for one, verdict in zip(group, verdicts, strict=True)
    ]


def _half(ratio: float) -> float:
    """The effect threshold half way to a ratio, in logarithms; at least that of a finding, at most 90 %."""
    return min(0.9, max(EFFECT, math.sqrt(max(ratio, 1 / ratio)) - 1))


def _unmeasured(one: Finding, failure: Unmeasurable) -> Finding:
    return replace(one, again=f"not measured again: {failure}")


def _concluded(one: Finding, verdict: Verdict, older: str, newer: str) -> Finding:
    """The finding with the conclusion from the last comparison."""
    pairs = f"by {verdict.pairs} pairs of {older} and {newer}, {_measured(verdict.estimate)}"
    if verdict.verdict == one.verdict:
        return replace(one, ratio=verdict.estimate.ratio, again=f"confirmed {pairs}")
    if verdict.verdict == "inconclusive" and not _contradicted(one, verdict.estimate):
        return replace(one, again=f"not decided {pairs}")
    shown = "no such change" if verdict.verdict == "inconclusive" else verdict.verdict
    return replace(one, stands=False, again=f"refuted {pairs}: {shown}")


def _contradicted(one: Finding, pairs: Estimate) -> bool:
    """Whether the pairs' interval excludes half of what the history shows, and shows no other change."""
    if one.verdict == "slower":
        return pairs.high < math.sqrt(one.ratio) and pairs.low <= 1 + EFFECT
    return pairs.low > math.sqrt(one.ratio) and pairs.high >= 1 / (1 + EFFECT)


def _measured(pairs: Estimate) -> str:
    """The ratio of the pairs with its interval."""
    if not math.isfinite(pairs.high):
        return f"{wording.times(pairs.ratio)} as long, too few for an interval"
    return f"{wording.times_interval(pairs.ratio, pairs.low, pairs.high)} as long"


def _searched(one: Finding, compare: Compare) -> Finding:
    """The finding at the commit nearby that changed its row, if the commits around it differ at all."""
    place = one.series.commits.index(one.commit)
    around = one.series.commits[max(0, place - 1 - REACH) : place + REACH + 1]
    try:
        (changed,) = compare(around[0], around[-1], [one], EFFECT)
        if changed.verdict == one.verdict:
            return _bisected(one, around, changed, compare)
        return _concluded(one, changed, around[0], around[-1])
    except Unmeasurable as failure:
        return _unmeasured(one, failure)


def _bisected(one: Finding, around: Sequence[str], changed: Verdict, compare: Compare) -> Finding:
    """The finding moved to the first commit with half of the difference between the outermost two."""
    while len(around) > 2:
        middle = len(around) // 2
        (half,) = compare(around[0], around[middle], [one], _half(changed.estimate.ratio))
        if half.verdict == one.verdict:
            around, changed = around[: middle + 1], half
        elif half.verdict == "same":
            around = around[middle:]
        else:
            return replace(one, again=f"at a commit after {around[0]} up to {around[-1]}; pairs decide no further")
    return _concluded(replace(one, before=around[0], commit=around[1]), changed, around[0], around[1])
