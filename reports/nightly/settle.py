"""A change point measured again: whether the commit made it, and which commit, asked of both commits side by side.

A history has one value a night. A burst of a shared machine that lasts for some nights looks like a step there, and on
noisy nights no method can say at which of them a step of twice the noise began (docs/change-points.md has the bound).
But the commits are still there: pairs of fresh processes, one of either commit, in the order of a coin, say what
changed whatever the machine does meanwhile. `reports.gate.design` judges the pairs, and its error rate holds here too.

Asked first is the named commit against the one before it. If their rows do not differ by half of what the history
shows, the commits `REACH` on either side are compared. If these are the same to less than the effect threshold, or no
change is in sight and the pairs' interval leaves out half of the history's, the step came from the machine. If they
differ, bisection finds the first commit that has half of their difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from reports.gate.design import Verdict
from reports.gate.sides import Unmeasurable
from reports.statistics import Estimate
from reports.statistics.changes import EFFECT, Finding

REACH = 10  # measured commits; among noisy nights a split is seldom farther off

# Of an older and a newer commit, by the effect threshold of the last argument: one verdict for each finding.
Compare = Callable[[str, str, Sequence[Finding], float], list[Verdict]]


def settle(found: Sequence[Finding], compare: Compare) -> list[Finding]:
    """The findings, in their order, each with what measuring again made of it in `again`, `stands`, ratio and place.

    A finding stands unless pairs show that it is none; what could not be measured again says so and stands too.
    """
    settled = list(found)
    for place in dict.fromkeys((one.before, one.commit) for one in found):
        indices = [index for index, one in enumerate(found) if (one.before, one.commit) == place]
        group = [found[index] for index in indices]
        for index, one in zip(indices, _settled(group, compare), strict=True):
            settled[index] = one
    return settled


def _settled(group: list[Finding], compare: Compare) -> list[Finding]:
    """Findings at one place; rows that did not change there are looked at one by one."""
    try:
        verdicts = compare(group[0].before, group[0].commit, group, min(_half(one.ratio) for one in group))
    except Unmeasurable as failure:
        return [_unmeasured(one, failure) for one in group]
    return [
        _told(one, verdict, one.before, one.commit) if verdict.verdict == one.verdict else _looked_around(one, compare)
        for one, verdict in zip(group, verdicts, strict=True)
    ]


def _half(ratio: float) -> float:
    """The effect threshold half way to a change, in logarithms; never below the threshold of a finding, nor 90 %."""
    return min(0.9, max(EFFECT, math.sqrt(max(ratio, 1 / ratio)) - 1))


def _unmeasured(one: Finding, failure: Unmeasurable) -> Finding:
    return replace(one, again=f"not measured again: {failure}")


def _told(one: Finding, verdict: Verdict, older: str, newer: str) -> Finding:
    """What the last comparison, of two commits, says of the finding at its place."""
    pairs = f"in {verdict.pairs} pairs of {older} and {newer}, {_measured(verdict.estimate)}"
    if verdict.verdict == one.verdict:
        return replace(one, ratio=verdict.estimate.ratio, again=f"repeated {pairs}")
    if verdict.verdict == "inconclusive" and not _contradicted(one, verdict.estimate):
        return replace(one, again=f"measured again without a decision {pairs}")
    said = "no such change" if verdict.verdict == "inconclusive" else verdict.verdict
    return replace(one, stands=False, again=f"measured again: {said} {pairs}")


def _contradicted(one: Finding, pairs: Estimate) -> bool:
    """Whether the pairs' interval leaves out half of what the history shows, and shows no other change either."""
    if one.verdict == "slower":
        return pairs.high < math.sqrt(one.ratio) and pairs.low <= 1 + EFFECT
    return pairs.low > math.sqrt(one.ratio) and pairs.high >= 1 / (1 + EFFECT)


def _measured(pairs: Estimate) -> str:
    """The ratio of the pairs with its interval."""
    known = f"{pairs.low:.2f} to {pairs.high:.2f}" if math.isfinite(pairs.high) else "too few for an interval"
    return f"{pairs.ratio:.2f} times as long ({known})"


def _looked_around(one: Finding, compare: Compare) -> Finding:
    """The finding at the commit around its place that changed its row, if the outermost two differ at all."""
    place = one.series.commits.index(one.commit)
    around = one.series.commits[max(0, place - 1 - REACH) : place + REACH + 1]
    try:
        (changed,) = compare(around[0], around[-1], [one], EFFECT)
        if changed.verdict == one.verdict:
            return _bisected(one, around, changed, compare)
        return _told(one, changed, around[0], around[-1])
    except Unmeasurable as failure:
        return _unmeasured(one, failure)


def _bisected(one: Finding, around: Sequence[str], changed: Verdict, compare: Compare) -> Finding:
    """The finding moved to the first of the commits that differs from the one before as the outermost two do."""
    while len(around) > 2:
        middle = len(around) // 2
        (half,) = compare(around[0], around[middle], [one], _half(changed.estimate.ratio))
        if half.verdict == one.verdict:
            around, changed = around[: middle + 1], half
        elif half.verdict == "same":
            around = around[middle:]
        else:
            return replace(one, again=f"a commit after {around[0]} up to {around[-1]}, as far as pairs show")
    return _told(replace(one, before=around[0], commit=around[1]), changed, around[0], around[1])
