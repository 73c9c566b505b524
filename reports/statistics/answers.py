"""The answer to "which implementation should I run here?" for one loss in one session, as fields and as sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lossimpl import wording
from reports.statistics.comparison import MODES, Claim, Comparison, doubt, why_unranked
from reports.statistics.ranking import Ranking, Row

MODE_WORDS = {
    "step": ("a training step", ""),
    "forward": ("a forward pass", ""),
    "reuse": ("a training step", " with memory reused"),
    "backward": ("a backward pass", ""),
    "graph": ("a training step", " replayed from a graph"),
}


@dataclass(frozen=True)
class Answer:
    """What a session says of one loss on one device.

    `case` is the largest case in which all write into memory that the allocator kept (mode `reuse`), or else the
    largest step. `as_run` is the largest step as people run it, against torch, or the vectorized form where torch has
    no such loss; None where no step was measured.
    """

    case: Ranking
    as_run: Comparison | None = None

    @property
    def comparison(self) -> Comparison | None:
        """The case as native against its alternatives, None if native could not run."""
        return Comparison(self.case) if self.case.get("native") else None

    @property
    def best(self) -> Row | None:
        """The row of the fastest, None where no row could be ranked."""
        return self.case.ranked[0] if self.case.ranked else None

    @property
    def undecided(self) -> bool:
        """Whether a row that could not be ranked might be the fastest: nothing ranked, or an alternative disturbed."""
        compared = self.comparison
        return not self.case.ranked or (compared is not None and bool(compared.alternatives) and compared.best is None)

    @property
    def claim(self) -> Claim | None:
        """Native against its best alternative under the same allocator, None where that cannot be said."""
        return self.comparison.best if self.comparison else None

    @property
    def eager_claim(self) -> Claim | None:
        """Native against eager code as people run it, None where that cannot be said."""
        return self.as_run.against(self.as_run.eager) if self.as_run else None

    @property
    def against(self) -> str:
        """The claim in words, or why there is none."""
        if self.claim:
            return self.claim.words
        return self.comparison.doubt if self.comparison else "native is not available"

    @property
    def against_eager(self) -> str:
        """The claim against eager code in words, or why there is none; empty where no step was measured."""
        if self.as_run is None or self.as_run.eager is None:
            return ""
        return self.eager_claim.words if self.eager_claim else doubt([self.as_run.native, self.as_run.eager])


def answers(found: Iterable[Ranking]) -> list[Answer]:
    """One answer per session, loss and device."""
    groups: dict[tuple[str, ...], list[Ranking]] = {}
    for one in found:
        key = ("machine", "env", "commit", "session", "loss", "device")
        groups.setdefault(tuple(str(one.case[name]) for name in key), []).append(one)
    return [answer(group) for group in groups.values()]


def answer(cases: Sequence[Ranking]) -> Answer:
    """The answer from all cases of one loss."""
    steps = [one for one in cases if one.case["mode"] == "step" and one.get("native")]
    as_run = min(steps, key=_preference) if steps else None
    return Answer(min(cases, key=_preference), Comparison(as_run) if as_run else None)


def _preference(one: Ranking) -> tuple[object, ...]:
    """Cases that compare native first, then float32, then the modes in their order, then the largest."""
    compared = Comparison(one).alternatives if one.get("native") else ()
    mode = one.case["mode"]
    place = MODES.index(mode) if mode in MODES else len(MODES)
    return not compared, one.case["dtype"] != "float32", place, -float(one.case["elements"])


def smallest(found: Iterable[Ranking]) -> list[Answer]:
    """For each loss and device the step with the fewest elements, where the overhead of the call dominates."""
    steps = [one for one in found if one.case["mode"] == "step" and one.case["dtype"] == "float32"]
    least: dict[tuple[str, str], Ranking] = {}
    for one in sorted(steps, key=lambda one: float(one.case["elements"])):
        least.setdefault((one.case["loss"], one.case["device"]), one)
    return [Answer(one, Comparison(one) if one.get("native") else None) for one in least.values()]


def worst_error(row: Row) -> float:
    """The larger of the relative errors of value and gradient, which decide whether a result is correct."""
    return max(float(row["value_max_rel"]), float(row["grad_max_rel"]) if wording.known(row["grad_max_rel"]) else 0.0)


def case_words(case: Row) -> str:
    """
    >>> case_words({"shape": "512x32000", "dtype": "float32", "mode": "step", "device": "cpu"})
    'a training step of 512 × 32000 in float32 on CPU'
    """
    what, how = MODE_WORDS.get(case["mode"], (str(case["mode"]), ""))
    return f"{what} of {wording.shape(case['shape'])} in {case['dtype']} on {str(case['device']).upper()}{how}"


def sentence(one: Answer) -> str:
    """The result in up to three sentences, claiming no more than its intervals support."""
    best, where = one.best, case_words(one.case.case)
    if best is None:
        why = Counter(why_unranked(row) for row in one.case.rows if row["status"] != "unavailable")
        reasons = ", ".join(f"{count} {reason}" for reason, count in why.items())
        return f"For {where}, no implementation could be ranked ({reasons})."
    of_ranked = " of those that could be ranked" if one.undecided else ""
    interval = wording.interval(best["value"], best["low"], best["high"])
    time = f"at {wording.seconds(best['value'])} per call ({wording.INTERVAL} {interval})"
    against = f"{one.against}, the best alternative" if one.claim and one.claim.ratio.low > 1 else one.against
    first = f"For {where}, {wording.fastest(one.case.fastest)}{of_ranked}, {time}, {against}."
    return " ".join(filter(None, (first, _qualities(best), _as_run(one))))


def _qualities(best: Row) -> str:
    """The second sentence: how close to the ceiling, and how exact."""
    parts = []
    if wording.known(best["share"]):
        parts.append(f"reaches {wording.percent(best['share'])} of the {best['ceiling_name']} ceiling")
    if wording.known(best["value_max_rel"]):
        parts.append(f"has a relative error of at most {wording.error(worst_error(best))}")
    return f"{best['implementation']} {' and '.join(parts)}." if parts else ""


def _as_run(one: Answer) -> str:
    """The third sentence: native against eager code as people run it."""
    if one.eager_claim is None or one.as_run is None or one.as_run.ranking is one.case:
        return ""
    subject = "" if one.eager_claim.ratio.high < 1 else "native is "
    return f"As people run it ({case_words(one.as_run.native)}), {subject}{one.against_eager}."
