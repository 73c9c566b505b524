"""Does a setting deliver the same training data as `num_workers=0`? Pure functions over digests.

A run is what one process delivered: a list of epochs, each with the `indices`, `samples`, `batches` that
`lossimpl.loading.data.fingerprint` recorded. Two runs of the reference and two of the candidate are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

SAME = "bitwise same"
AUGMENTATION = "same order, other augmentation"
ORDER = "same samples, other order"
WRONG = "missing or duplicated"
UNSTABLE = "unstable from run to run"
KINDS = (SAME, AUGMENTATION, ORDER, UNSTABLE, WRONG)  # from the strictest promise to none

Epoch = Mapping[str, Any]
Run = Sequence[Epoch]

REPEATED_BY_CHANCE = 0.05  # of the samples read: a stream may hold equal samples, which workers deliver earlier
COUNT = (
    "make `__len__` agree with what is yielded; a StopIteration in `__getitem__` ends the epoch silently, so raise "
    "IndexError; with drop_last each worker drops its own incomplete batch"
)
SHARE = "divide the stream among the workers: in `__iter__` yield only what belongs to `get_worker_info().id`"
TYPES = "return the same types for every sample, and none that the collate function leaves out"
CONTENT = "let a sample depend on its index alone, not on the worker that makes it"
MULTISET = "each sample must come once: check the sampler, and what `worker_init_fn` does to the dataset"


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
        return self.kind == WRONG


def wrong(reason: str, advice: str) -> Verdict:
    """The verdict on data that are not those of the reference."""
    return Verdict(WRONG, reason, advice=advice)


def judge(candidate: Sequence[Run], reference: Sequence[Run]) -> Verdict:
    """The verdict on the candidate's runs against those of the reference (the same settings with 0 workers)."""
    fault = next((fault for run in candidate if (fault := incomplete(run, reference))), None)
    if fault:
        return fault
    notes = tuple(note for note in (frozen_augmentation(candidate[0], reference[0]),) if note)
    first, second = candidate[0], candidate[-1]
    if not identical(first, second):
        stable = identical(reference[0], reference[-1])
        also = "" if stable else "; so do two runs of num_workers=0: the dataset itself is not seeded"
        return Verdict(UNSTABLE, f"two identical runs differ: {difference(first, second)}{also}", notes)
    if identical(first, reference[0]):
        return Verdict(SAME, "", notes)
    kind = AUGMENTATION if same_order(first, reference[0]) else ORDER
    return Verdict(kind, f"against num_workers=0: {difference(first, reference[0])}", notes)


def identical(one: Run, other: Run) -> bool:
    """Whether every batch of every epoch has the same digest."""
    return [epoch["batches"] for epoch in one] == [epoch["batches"] for epoch in other]


def same_order(one: Run, other: Run) -> bool:
    """Whether the samples came in the same order: by index, or by digest where samples have no index."""
    return all(order_of(left) == order_of(right) for left, right in zip(one, other, strict=True)) or (
        not has_indices(one) and not comparable(other)
    )


def has_indices(run: Run) -> bool:
    """Whether samples are known by index (map-style) and not by their bytes alone."""
    return any(index for epoch in run for index in epoch["indices"])


def order_of(epoch: Epoch) -> Sequence[str]:
    """What identifies the samples of an epoch, in the order of delivery."""
    found: Sequence[str] = epoch["indices"] if any(epoch["indices"]) else epoch["samples"]
    return found


def comparable(run: Run) -> bool:
    """Whether every epoch of a run holds the same multiset, so that another multiset is a fault and not chance."""
    return all(Counter(order_of(epoch)) == Counter(order_of(run[0])) for epoch in run)


def incomplete(run: Run, reference: Sequence[Run]) -> Verdict | None:
    """What is missing, superfluous or of changed content in a run, or None."""
    for number, epoch in enumerate(run):
        fault = wrong_count(epoch) or drifting(epoch)
        if fault is None and number < len(reference[0]):
            fault = wrong_multiset(epoch, reference[0][number], all(map(comparable, reference)))
        if fault is None and constant(reference):
            fault = changed_content(epoch, reference[0][0])
        if fault:
            return replace(fault, reason=f"epoch {number}: {fault.reason}")
    return None


def wrong_count(epoch: Epoch) -> Verdict | None:
    """Whether as many samples came as the length of dataset or sampler promises."""
    planned, delivered = epoch["planned"], len(epoch["samples"])
    if planned is None or not epoch["whole"] or planned == delivered:
        return None
    return wrong(f"{delivered} samples delivered where len says {planned}", COUNT)


def drifting(epoch: Epoch) -> Verdict | None:
    """Whether the samples of an epoch have the same types."""
    by_path: dict[str, list[str]] = {}
    for path, kind, count in epoch["kinds"]:
        by_path.setdefault(path, []).append(f"{count} x {kind}")
    found = next((path for path, kinds in by_path.items() if len(kinds) > 1), None)
    if found is None:
        return None
    return wrong(f"the samples differ in type: {found} is {', '.join(by_path[found])}", TYPES)


def wrong_multiset(epoch: Epoch, reference: Epoch, fixed: bool) -> Verdict | None:
    """Whether the samples are those of the reference; where each epoch draws its own samples, whether as many came."""
    found, wanted = Counter(order_of(epoch)), Counter(order_of(reference))
    if not (epoch["whole"] and reference["whole"]):
        return repeated_part(found, wanted) if fixed else None
    delivered, due = sum(found.values()), sum(wanted.values())
    if delivered != due:
        cure = MULTISET if any(epoch["indices"]) else SHARE if delivered > due else COUNT
        return wrong(f"{delivered} samples delivered where num_workers=0 delivers {due}", cure)
    if fixed and found != wanted:
        lost, extra = sum((wanted - found).values()), sum((found - wanted).values())
        return wrong(f"{lost} samples missing, {extra} too many", MULTISET)
    if not fixed and any(epoch["indices"]) and max(found.values()) > max(wanted.values()):
        return wrong(f"a sample came {max(found.values())} times", MULTISET)
    return None


def repeated_part(found: Counter[str], wanted: Counter[str]) -> Verdict | None:
    """Whether the beginning of an epoch repeats samples that the reference does not repeat."""
    again, allowed = (counts.total() - len(counts) for counts in (found, wanted))
    if again <= allowed + REPEATED_BY_CHANCE * found.total():
        return None
    what = f"of the first {found.total()} samples {again} are repetitions, with num_workers=0 {allowed}"
    return wrong(what, SHARE)


def contents(epoch: Epoch) -> dict[str, str]:
    """The digest of each sample by its index."""
    return dict(zip(epoch["indices"], epoch["samples"], strict=True))


def constant(reference: Sequence[Run]) -> bool:
    """Whether each index always has the same bytes in the reference: no augmentation at all."""
    return has_indices(reference[0]) and all(
        contents(epoch).get(index) == mark
        for run in reference
        for epoch in run
        for index, mark in contents(reference[0][0]).items()
        if index in contents(epoch)
    )


def changed_content(epoch: Epoch, reference: Epoch) -> Verdict | None:
    """Whether the bytes of a sample differ from the reference, where nothing ever changes."""
    wanted = contents(reference)
    changed = [index for index, mark in contents(epoch).items() if wanted.get(index, mark) != mark]
    if not changed:
        return None
    what = f"{len(changed)} samples have other bytes than with num_workers=0, where they never change"
    return wrong(f"{what} (index {changed[0]})", CONTENT)


def frozen_augmentation(run: Run, reference: Run) -> str | None:
    """A note where a generator kept in the dataset repeats itself: each epoch begins with the same copy of it."""
    if len(run) < 2 or not has_indices(run):
        return None
    varies = contents(reference[0]) != contents(reference[1])
    if varies and contents(run[0]) == contents(run[1]):
        return "every epoch repeats the same random draws: the dataset keeps a generator that each worker copies"
    return None


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
