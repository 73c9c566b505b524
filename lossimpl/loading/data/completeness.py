"""Is anything missing, repeated or changed in what a run delivered? Pure functions over digests.

A run is what one process delivered: a list of epochs, each as `lossimpl.loading.data.fingerprint` recorded it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Epoch = Mapping[str, Any]
Run = Sequence[Epoch]

REPEATED_BY_CHANCE = 0.05  # of the samples read: a stream may hold equal samples, which workers deliver earlier
COUNT = (
    "make `__len__` agree with what is yielded; a StopIteration in `__getitem__` ends the epoch silently, so raise "
    "IndexError; with drop_last each worker drops its own incomplete batch"
)
SHARE = "divide the stream among the workers: in `__iter__` yield only what belongs to `get_worker_info().id`"
LOST = "check how the stream is divided among the workers: together they must yield every sample once"
TYPES = "return the same types for every sample, and none that the collate function leaves out"
KEYS = "return the same keys for every sample, or pass a collate_fn that handles missing ones"
CONTENT = "let a sample depend on its index alone, not on the worker that makes it"
MULTISET = "each sample must come once: check the sampler, and what `worker_init_fn` does to the dataset"
BUFFER = "return a copy of the buffer, such as `tensor.clone()` or `array.copy()`"
EMPTY = "return the batch from `collate_fn`; leave out a batch by leaving out its samples in the sampler"
ONE_SHOT = "make a new iterator in each call of `__iter__`, such as by a generator function"
COLLATED = "let `collate_fn` depend on its samples alone, and make a new batch in each call"


@dataclass(frozen=True)
class Fault:
    """What is wrong with delivered data, and what to do about it."""

    reason: str
    advice: str


def order_of(epoch: Epoch) -> Sequence[str]:
    """What identifies the samples of an epoch, in the order of delivery: the index, else the digest."""
    found: Sequence[str] = epoch["indices"] if any(epoch["indices"]) else epoch["samples"]
    return found


def has_indices(run: Run) -> bool:
    """Whether samples are known by index (map-style) and not by their bytes alone."""
    return any(index for epoch in run for index in epoch["indices"])


def contents(epoch: Epoch) -> dict[str, str]:
    """The digest of each sample by its index."""
    return dict(zip(epoch["indices"], epoch["samples"], strict=True))


@dataclass(frozen=True)
class Changed:
    """What differs on purpose between the settings of a run and those of the reference."""

    workers: int = 0
    drop_last: bool = False
    batch_size: bool = False


def incomplete(run: Run, reference: Sequence[Run], changed: Changed) -> Fault | None:
    """What is missing, superfluous or of changed content in a run, or None."""
    for number, epoch in enumerate(run):
        beside = reference[0][number] if number < len(reference[0]) else None
        fault = next(faults(epoch, beside, reference, changed), None)
        if fault:
            return replace(fault, reason=f"epoch {number}: {fault.reason}")
    return exhausted(reference[0])


def faults(epoch: Epoch, beside: Epoch | None, reference: Sequence[Run], changed: Changed) -> Iterator[Fault]:
    """The faults of an epoch, `beside` the same epoch of the reference, the most telling first."""
    yield from in_batches(epoch)
    yield from unsteady(epoch)
    if beside is not None and beside["samples"]:
        yield from wrong_count(epoch, beside, changed.workers)
        yield from () if changed.drop_last else wrong_multiset(epoch, beside, all(map(comparable, reference)))
    if constant(reference):
        yield from changed_content(epoch, reference[0][0])
        yield from () if changed.drop_last or changed.batch_size else changed_batches(epoch, reference)


def in_batches(epoch: Epoch) -> Iterator[Fault]:
    """Samples that changed before they were collated, and batches that are none."""
    if epoch.get("changed"):
        what = f"{epoch['changed']} of {len(epoch['samples'])} samples changed after they were returned"
        yield Fault(f"{what}: the dataset returns views of one buffer that it overwrites", BUFFER)
    if epoch.get("empty"):
        yield Fault(f"{epoch['empty']} of {len(epoch['batches'])} batches are None or empty", EMPTY)


def unsteady(epoch: Epoch) -> Iterator[Fault]:
    """Samples of an epoch that differ in type or keys, where torch's own collate drops or converts some of them."""
    if epoch.get("own_collate"):
        return  # which may join what it likes
    by_path: dict[str, list[tuple[str, int]]] = {}
    for path, kind, count in epoch["kinds"]:
        by_path.setdefault(path, []).append((kind, count))
    for path, kinds in by_path.items():
        if len(kinds) > 1:
            found = ", ".join(f"{count} x {kind}" for kind, count in kinds)
            yield Fault(f"the samples differ in type: {path} is {found}", TYPES)
    total = len(epoch["samples"])
    rare = [(path, kinds[0][1]) for path, kinds in by_path.items() if kinds[0][1] < total]
    if rare:
        path, count = rare[0]
        yield Fault(f"only {count} of {total} samples have {path}: torch's collate drops or misses it", KEYS)


def wrong_count(epoch: Epoch, reference: Epoch, workers: int) -> Iterator[Fault]:
    """Whether as many samples came as the length of dataset or sampler promises."""
    planned, delivered = epoch["planned"], len(epoch["samples"])
    if planned is None or not epoch["whole"] or planned == delivered:
        return
    what = f"{delivered} samples delivered where len says {planned}"
    honest = reference["whole"] and len(reference["samples"]) == reference["planned"]
    if any(epoch["indices"]) or not (honest and workers):
        yield Fault(what, COUNT)
    else:
        yield Fault(f"{what} and num_workers=0 delivers", SHARE if delivered > planned else LOST)


def wrong_multiset(epoch: Epoch, reference: Epoch, fixed: bool) -> Iterator[Fault]:
    """Whether the samples are those of the reference; where each epoch draws its own samples, whether as many came."""
    found, wanted = Counter(order_of(epoch)), Counter(order_of(reference))
    if not (epoch["whole"] and reference["whole"]):
        yield from repeated_part(found, wanted)
        return
    delivered, due = found.total(), wanted.total()
    if delivered != due:
        cure = MULTISET if any(epoch["indices"]) else SHARE if delivered > due else LOST
        yield Fault(f"{delivered} samples delivered where num_workers=0 delivers {due}", cure)
    elif fixed and found != wanted:
        lost, extra = (wanted - found).total(), (found - wanted).total()
        yield Fault(f"{lost} samples missing, {extra} too many", MULTISET)
    elif not fixed and any(epoch["indices"]) and max(found.values()) > max(wanted.values()):
        yield Fault(f"a sample came {max(found.values())} times", MULTISET)


def repeated_part(found: Counter[str], wanted: Counter[str]) -> Iterator[Fault]:
    """Whether the beginning of an epoch repeats samples that the reference does not repeat."""
    again, allowed = (counts.total() - len(counts) for counts in (found, wanted))
    if again > allowed + REPEATED_BY_CHANCE * found.total():
        what = f"of the first {found.total()} samples {again} are repetitions, with num_workers=0 {allowed}"
        yield Fault(what, SHARE)


def comparable(run: Run) -> bool:
    """Whether every epoch of a run holds the same multiset, so that another multiset is a fault and not chance."""
    return all(Counter(order_of(epoch)) == Counter(order_of(run[0])) for epoch in run)


def constant(reference: Sequence[Run]) -> bool:
    """Whether each index always has the same bytes in the reference: no augmentation at all."""
    return has_indices(reference[0]) and all(
        contents(epoch).get(index) == mark
        for run in reference
        for epoch in run
        for index, mark in contents(reference[0][0]).items()
        if index in contents(epoch)
    )


def changed_content(epoch: Epoch, reference: Epoch) -> Iterator[Fault]:
    """Whether the bytes of a sample differ from the reference, where nothing ever changes."""
    wanted = contents(reference)
    changed = [index for index, mark in contents(epoch).items() if wanted.get(index, mark) != mark]
    if changed:
        what = f"{len(changed)} samples have other bytes than with num_workers=0, where they never change"
        yield Fault(f"{what} (index {changed[0]})", CONTENT)


def changed_batches(epoch: Epoch, reference: Sequence[Run]) -> Iterator[Fault]:
    """Whether the same samples in the same order make other batches, where those of the reference never change."""
    epochs = [one for run in reference for one in run]
    same = [one for one in epochs if one["samples"] == epoch["samples"]]
    steady = len({tuple(one["batches"]) for one in same}) == 1 and len(same) > 1
    if steady and len(same[0]["batches"]) == len(epoch["batches"]) and same[0]["batches"] != epoch["batches"]:
        yield Fault("the same samples make other batches than with num_workers=0, where they never change", COLLATED)


def exhausted(reference: Run) -> Fault | None:
    """Whether the reference's own later epochs have fewer samples than its first: a stream that is read only once."""
    counts = [len(epoch["samples"]) for epoch in reference]
    if not counts or not all(epoch["whole"] for epoch in reference) or max(counts) == min(counts):
        return None
    first = Counter(order_of(reference[0]))
    spent = all(not Counter(order_of(epoch)) - first for epoch in reference[1:]) and counts[0] == max(counts)
    epochs = ", ".join(map(str, counts))
    return (
        Fault(f"the epochs of num_workers=0 have {epochs} samples: they cannot be read again", ONE_SHOT)
        if spent
        else None
    )
