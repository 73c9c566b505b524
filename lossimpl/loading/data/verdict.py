"""Does a setting deliver the same training data as `num_workers=0`? Pure functions over digests.

A run is what one process delivered: a list of epochs as `lossimpl.loading.data.fingerprint` recorded them. Two runs of
the reference and two of the candidate are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossimpl.loading.data.completeness import (
    BUFFER,
    ONE_SHOT,
    Changed,
    Epoch,
    Fault,
    Run,
    comparable,
    has_indices,
    incomplete,
    order_of,
)
from lossimpl.loading.data.randomness import copied, drawn_again
from lossimpl.loading.settings import Settings

SAME = "bitwise same"
BATCHES = "same samples in other batches"
AUGMENTATION = "same order, other augmentation"
ORDER = "same samples, other order"
UNSTABLE = "unstable from run to run"
REPEATED = "repeated random draws"
WRONG = "missing or duplicated"
KINDS = (SAME, BATCHES, AUGMENTATION, ORDER, UNSTABLE, REPEATED, WRONG)  # from the strictest promise to none
STRICT = (SAME, BATCHES, AUGMENTATION)  # what an answer may have
NEVER = (REPEATED, WRONG)  # what is never ranked


@dataclass(frozen=True)
class Verdict:
    """One of `KINDS` with its reason; `notes` are warnings that do not change the kind."""

    kind: str
    reason: str = ""
    notes: tuple[str, ...] = ()
    advice: str = ""

    @property
    def wrong(self) -> bool:
        """Whether a configuration with this verdict must never be ranked."""
        return self.kind in NEVER


def judge(
    candidate: Sequence[Run],
    reference: Sequence[Run],
    settings: Settings | None = None,
    base: Settings | None = None,
    again: Mapping[str, Any] | None = None,
) -> Verdict:
    """The verdict on the candidate's runs against those of the reference.

    `settings` and `base` are those of the two, by default alike; `again` is what reading the dataset twice in the
    process of the reference showed (`fingerprint.again`).
    """
    settings, base, again = settings or Settings(num_workers=1), base or Settings(), again or {}
    if again.get("one_shot"):
        reason = "each epoch asks the same iterator, which ends once: the dataset cannot be read again"
        return Verdict(WRONG, reason, advice=ONE_SHOT)
    changed = Changed(
        settings.num_workers, settings.drop_last != base.drop_last, settings.batch_size != base.batch_size
    )
    in_place = bool(again.get("changed")) and identical(reference[0], reference[-1])  # else it is chance
    for run in candidate:
        if fault := drawn_again(run, reference):
            return of_fault(REPEATED, fault)
        if fault := incomplete(run, reference, changed):
            return of_fault(WRONG, fault)
        if fault := copied(run, reference[0], settings.persistent_workers, in_place):
            return of_fault(REPEATED, fault)
    notes = warnings(candidate[0], in_place, bool(again.get("continues")))
    return compared(candidate, reference, settings, base, notes)


def of_fault(kind: str, fault: Fault) -> Verdict:
    """The verdict on data that must not be used."""
    return Verdict(kind, fault.reason, advice=fault.advice)


def warnings(run: Run, in_place: bool, continues: bool) -> tuple[str, ...]:
    """What is dangerous although the data agree."""
    notes = []
    if continues:
        notes.append(f"each epoch of the stream goes on where the last one was left; if it should not: {ONE_SHOT}")
    if in_place:
        notes.append("samples change with each reading although nothing is drawn at random: changed in place?")
    if overwritten := sum(epoch.get("overwritten", 0) for epoch in run):
        notes.append(f"collate_fn reuses its buffer: {overwritten} batches changed when the next one came; {BUFFER}")
    return tuple(notes)


def compared(
    candidate: Sequence[Run], reference: Sequence[Run], settings: Settings, base: Settings, notes: tuple[str, ...]
) -> Verdict:
    """The verdict on data of which nothing is missing."""
    first, second = candidate[0], candidate[-1]
    if not identical(first, second):
        stable = identical(reference[0], reference[-1])
        also = "" if stable else "; so do two runs of num_workers=0: the dataset itself is not seeded"
        return Verdict(UNSTABLE, f"two identical runs differ: {difference(first, second)}{also}", notes)
    if identical(first, reference[0]):
        return Verdict(SAME, "", notes)
    if meant := intended(first, reference[0], settings, base):
        return Verdict(BATCHES, meant, notes)
    kind = AUGMENTATION if same_order(first, reference[0]) else ORDER
    return Verdict(kind, f"against num_workers=0: {difference(first, reference[0])}", notes)


def intended(run: Run, reference: Run, settings: Settings, base: Settings) -> str:
    """What another batch_size or drop_last changes, where the samples and their order are otherwise the same; else
    nothing."""
    if (settings.batch_size, settings.drop_last) == (base.batch_size, base.drop_last):
        return ""
    what = []
    for one, other in zip(run, reference, strict=True):
        shared = min(len(one["samples"]), len(other["samples"]))
        if one["samples"][:shared] != other["samples"][:shared]:
            return ""
        if settings.drop_last != base.drop_last and (missing := abs(len(one["samples"]) - len(other["samples"]))):
            what = [f"drop_last leaves out the last {missing} samples of an epoch"]
    if settings.batch_size != base.batch_size:
        what.insert(0, f"batches of {settings.batch_size} instead of {base.batch_size} samples")
    return "; ".join([*what, "the same samples in the same order"])


def identical(one: Run, other: Run) -> bool:
    """Whether every batch of every epoch has the same digest."""
    return [epoch["batches"] for epoch in one] == [epoch["batches"] for epoch in other]


def same_order(one: Run, other: Run) -> bool:
    """Whether the samples came in the same order: by index, or by digest where samples have no index."""
    return all(order_of(left) == order_of(right) for left, right in zip(one, other, strict=True)) or (
        not has_indices(one) and not comparable(other)
    )


def difference(one: Run, other: Run) -> str:
    """In what two runs differ, each with the first epoch in which it shows."""
    seen: dict[str, int] = {}
    for number, (left, right) in enumerate(zip(one, other, strict=True)):
        if left["batches"] != right["batches"]:
            seen.setdefault(what_differs(left, right), number)
    return ", ".join(f"{what} from epoch {number}" for what, number in seen.items()) or "nothing"


def what_differs(left: Epoch, right: Epoch) -> str:
    """In what two epochs differ."""
    if order_of(left) != order_of(right):
        return "the order" if Counter(order_of(left)) == Counter(order_of(right)) else "the samples"
    return "the random draws" if left["samples"] != right["samples"] else "the batches made of the same samples"
