"""The answer to "which implementation should I run here?", for one case, as fields and as one sentence."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lossimpl import wording
from lossimpl.ranking import Interval, ratio
from reports.statistics.ranking import headlines, interval_of, of_case

# What an answer is compared with: the framework's own, else the best plain tensor code: compiled, then eager.
BASELINES = ("torch", "torch-compiled", "compiled", "vectorized")
MODES = {
    "step": "a training step",
    "forward": "a forward pass",
    "reuse": "a training step with reused memory",
    "backward": "a backward pass",
    "graph": "a training step replayed from a graph",
}


@dataclass(frozen=True)
class Answer:
    """The fastest correct implementations of one case; `rows` are all of the case's rows, ranked.

    `speedup` is the baseline's time over that of the fastest; it is None, as `baseline` is, where nothing else was
    ranked.
    """

    case: pd.Series
    rows: pd.DataFrame
    fastest: tuple[str, ...]
    baseline: str | None = None
    speedup: Interval | None = None

    @property
    def best(self) -> pd.Series | None:
        """The row of the fastest by its median, or None where no row could be ranked."""
        return self.rows.iloc[0] if self.fastest else None

    @property
    def tied(self) -> bool:
        """Whether the baseline is one of several fastest."""
        return len(self.fastest) > 1 and self.baseline in self.fastest


def answer(case: pd.Series, rows: pd.DataFrame) -> Answer:
    """Answer one case from all rows of the frame."""
    ordered = of_case(rows, case)
    fastest = tuple(ordered.loc[ordered["rank"] == 1, "implementation"])
    fair = {row["implementation"]: row for _, row in ordered[ordered["rank"].notna()].iterrows()}
    baseline = next((name for name in BASELINES if name in fair), None)
    if baseline is None:
        return Answer(case, ordered, fastest)
    speedup = ratio(interval_of(fair[baseline]), interval_of(ordered.iloc[0]))
    return Answer(case, ordered, fastest, baseline, speedup)


def answers(rows: pd.DataFrame) -> list[Answer]:
    """One answer per machine, environment, loss and device in `rows`."""
    return [answer(case, rows) for _, case in headlines(rows).iterrows()]


def worst_error(row: pd.Series) -> float:
    """The larger of the relative errors of value and gradient, which decide whether a result is correct."""
    return max(float(row["value_max_rel"]), float(row["grad_max_rel"]) if wording.known(row["grad_max_rel"]) else 0.0)


def shares(one: Answer) -> pd.DataFrame:
    """The correct rows of the case with a known share of the ceiling."""
    return one.rows[(one.rows["status"] == "ok") & one.rows["share"].notna()]


def case_words(case: pd.Series) -> str:
    """
    >>> case_words(pd.Series({"shape": "512x32000", "dtype": "float32", "mode": "step", "device": "cpu"}))
    'a training step of 512 × 32000 in float32 on CPU'
    """
    mode = MODES.get(case["mode"], str(case["mode"]))
    return f"{mode} of {wording.shape(case['shape'])} in {case['dtype']} on {str(case['device']).upper()}"


def against(one: Answer) -> str:
    """The fastest against the baseline in a few words; against the next slower where the baseline itself is fastest."""
    if one.baseline is None or one.speedup is None:
        return "nothing to compare with"
    if one.tied:
        return f"statistically tied with {one.baseline}"
    if one.baseline not in one.fastest:
        return f"{wording.times_interval(*one.speedup)} as fast as {one.baseline}"
    slower = one.rows[one.rows["rank"] > 1]
    if slower.empty:
        return f"{one.baseline} itself"
    times = ratio(interval_of(slower.iloc[0]), interval_of(one.rows.iloc[0]))
    return f"{wording.times_interval(*times)} as fast as {slower.iloc[0]['implementation']}"


def sentence(one: Answer) -> str:
    """The result in one sentence, claiming no more than its intervals support."""
    best, where = one.best, case_words(one.case)
    if best is None:
        return f"For {where}, no implementation gave a correct result that could be ranked."
    parts = [
        f"For {where}, {wording.fastest(one.fastest)}, at {wording.seconds(best['value'])} per call",
        f"{wording.INTERVAL} {wording.interval(best['value'], best['low'], best['high'])}",
        against(one) if one.baseline and not one.tied else "",
    ]
    if wording.known(best["share"]):
        parts.append(f"{wording.percent(best['share'])} of the {best['ceiling_name']} ceiling")
    if wording.known(best["value_max_rel"]):
        parts.append(f"relative error at most {wording.error(worst_error(best))}")
    return ", ".join(filter(None, parts)) + "."
