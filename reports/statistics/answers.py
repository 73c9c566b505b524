"""The answer to "which implementation should I run here?", for one case, as fields and as one sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from lossimpl import wording
from reports.statistics.ranking import headlines, of_case, ratio

# What an answer is compared with: the framework's own, else the best of plain tensor code: compiled, then as it is.
BASELINES = ("torch", "torch-compiled", "compiled", "vectorized")


@dataclass(frozen=True)
class Answer:
    """The fastest right implementation(s) of one case; `rows` are all of the case's rows, ranked.

    `speedup` is the baseline's time over the fastest one's, with bounds from both intervals; `baseline` is None where
    nothing else was ranked to compare with.
    """

    case: pd.Series
    rows: pd.DataFrame
    fastest: tuple[str, ...]
    baseline: str | None
    speedup: float = math.nan
    speedup_low: float = math.nan
    speedup_high: float = math.nan

    @property
    def best(self) -> pd.Series | None:
        """The row of the fastest by its median, or None where no row could be ranked."""
        return self.rows.iloc[0] if self.fastest else None

    @property
    def where(self) -> str:
        return case_words(self.case)

    @property
    def pays(self) -> bool:
        """Whether the fastest and the baseline are told apart by their intervals."""
        return self.baseline is not None and self.baseline not in self.fastest


def case_words(case: pd.Series) -> str:
    """
    >>> case_words(pd.Series({"shape": "512x32000", "dtype": "float32", "mode": "step", "device": "cpu"}))
    'a training step of 512 × 32000 in float32 on CPU'
    """
    modes = {
        "step": "a training step",
        "forward": "a forward pass",
        "reuse": "a training step into kept memory",
        "backward": "a backward pass",
        "graph": "a training step replayed from a graph",
    }
    mode = modes.get(case["mode"], str(case["mode"]))
    return f"{mode} of {wording.shape(case['shape'])} in {case['dtype']} on {str(case['device']).upper()}"


def answer(case: pd.Series, rows: pd.DataFrame) -> Answer:
    """Answer one case from all rows of the frame."""
    ordered = of_case(rows, case)
    fastest = tuple(ordered.loc[ordered["rank"] == 1, "implementation"])
    fair = {row["implementation"]: row for _, row in ordered[ordered["rank"].notna()].iterrows()}
    baseline = next((name for name in BASELINES if name in fair), None)
    if not fastest or baseline is None:
        return Answer(case, ordered, fastest, None)
    return Answer(case, ordered, fastest, baseline, *ratio(fair[baseline], ordered.iloc[0]))


def answers(rows: pd.DataFrame) -> list[Answer]:
    """One answer per machine, environment, loss and device that `rows` speaks of."""
    return [answer(case, rows) for _, case in headlines(rows).iterrows()]


def sentence(one: Answer) -> str:
    """The reading of a result in one sentence, said only as strongly as its intervals allow."""
    best = one.best
    if best is None:
        return f"For {one.where}, no implementation gave a right result that could be ranked."
    tie = len(one.fastest) > 1
    verb = "tie as fastest, at about" if tie else "is fastest, at"
    parts = [f"For {one.where}, {wording.names(list(one.fastest))} {verb} {wording.seconds(best['value'])} per call"]
    parts += [f"99 % interval {wording.interval(best['value'], best['low'], best['high'])}", _against(one)]
    if wording.known(best["share"]):
        parts.append(f"{wording.percent(best['share'])} of the {best['ceiling_name']} ceiling")
    if wording.known(best["value_max_rel"]):
        parts.append(f"its relative error at most {worst_error(best):.1e}")
    return ", ".join(filter(None, parts)) + "."


def against(one: Answer) -> str:
    """The speed-up in a few words, with its bounds; a tie is said to be one."""
    if one.baseline is None:
        return "nothing to compare with"
    if one.pays:
        bounds = f"{wording.digits(one.speedup_low)} to {wording.times(one.speedup_high)}"
        return f"{wording.times(one.speedup)} as fast as {one.baseline} ({bounds})"
    return f"level with {one.baseline}" if len(one.fastest) > 1 else f"{one.baseline} itself"


def worst_error(row: pd.Series) -> float:
    """The larger of the relative errors of value and gradient, which decide whether a result is right."""
    return max(float(row["value_max_rel"]), float(row["grad_max_rel"]) if wording.known(row["grad_max_rel"]) else 0.0)


def _against(one: Answer) -> str:
    if one.baseline is None:
        return ""
    if not one.pays:
        others = one.rows.loc[one.rows["rank"] > 1]
        if one.baseline != one.fastest[0] or others.empty:
            return f"not told apart from {one.baseline}" if len(one.fastest) > 1 else ""
        slower, _, _ = ratio(others.iloc[0], one.rows.iloc[0])
        return f"the next, {others.iloc[0]['implementation']}, takes {wording.times(slower)} as long"
    bounds = f"{wording.digits(one.speedup_low)} to {wording.times(one.speedup_high)}"
    return f"{wording.times(one.speedup)} as fast as {one.baseline} ({bounds})"
