"""Do random draws repeat, from epoch to epoch or from worker to worker, where they do not with num_workers=0?

Pure functions over what `lossimpl.loading.data.fingerprint` recorded: the state of each generator before the first draw
of each worker in each epoch, and the digests of the samples.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from lossimpl.loading.data.completeness import Fault, Run, contents, has_indices

States = Mapping[str, Sequence[str]]  # by worker

CURE = "draw from `lossimpl.loading.SampleRNG`, a generator per (seed, epoch, index)"
OWN = f"seed it in `worker_init_fn` from `torch.initial_seed()`, or {CURE}"
INIT = "derive the seed from `torch.initial_seed()`, which differs for each worker and epoch, or leave seeding to torch"
SELF = "seed once, before the loop, and leave the workers' seeds to torch"
UNHEARD = (
    "keep the epoch in shared memory, as `lossimpl.loading.SampleRNG` does, or leave out persistent_workers: workers "
    "that are kept have their own copy of the dataset"
)
IN_PLACE = "copy what `__getitem__` changes, such as `self.data[index].copy()`"


def drawn_again(run: Run, reference: Sequence[Run]) -> Fault | None:
    """Generators that two workers or two epochs begin with in one state; None where there are none."""
    if same_as(run, reference[0]):
        return None  # nothing in it repeats that does not repeat with num_workers=0
    return next(alike_or_frozen(run, reference[0]), None)


def alike_or_frozen(run: Run, reference: Run) -> Iterator[Fault]:
    """The fault of each generator."""
    for name in sorted({name for epoch in run for name in epoch.get("drawn", {})}):
        pair = twins(begun(run, 0, name))
        frozen = len(run) > 1 and starts_again(begun(run, 0, name), begun(run, 1, name))
        meant = len(reference) > 1 and starts_again(begun(reference, 0, name), begun(reference, 1, name))
        what = [f"workers {' and '.join(pair)} draw the same numbers"] if pair else []
        what += ["every epoch repeats the draws of the first"] if frozen and not meant else []
        if what:
            source, cure = origin(name, run)
            yield Fault(f"{', and '.join(what)}: {source}", cure)


def same_as(run: Run, reference: Run) -> bool:
    """Whether a run delivered the samples of the reference in its order, and, of the same size, the same batches."""
    return all(
        one["samples"] == other["samples"]
        and (len(one["batches"]) != len(other["batches"]) or one["batches"] == other["batches"])
        for one, other in zip(run, reference, strict=True)
    )


def begun(run: Run, epoch: int, name: str) -> States:
    """The states of a generator before the first two draws of each worker in an epoch."""
    found: States = run[epoch].get("drawn", {}).get(name, {})
    return found


def starts_again(one: States, other: States) -> bool:
    """Whether each worker begins both epochs in the same state, or is in the same state before its second draw."""
    return bool(one) and one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)


def alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two sequences of draws are the same from the first or, seeded in it, from the second draw on."""
    return any(left == right for left, right in zip(one, other, strict=False))


def twins(states: States) -> list[str]:
    """The first two workers that draw alike, or none."""
    for (one, left), (other, right) in itertools.combinations(states.items(), 2):
        if alike(left, right):
            return [str(one), str(other)]
    return []


def origin(name: str, run: Run) -> tuple[str, str]:
    """Why a generator begins in the same state, and the cure."""
    if "." in name and not name.startswith("numpy.random"):
        return f"{name} is a generator that each worker copies", OWN
    if any(name in epoch.get("seeded", ()) for epoch in run):
        return f"worker_init_fn seeds {name} alike", INIT
    return f"the dataset seeds {name} itself", SELF


def copied(run: Run, reference: Run, persistent: bool, in_place: bool) -> Fault | None:
    """Samples that repeat in every epoch, or depend on what their worker has read, although no generator does."""
    if same_as(run, reference):
        return None
    if in_place:
        what = (
            "samples change each time that they are read although nothing is drawn: `__getitem__` changes data in place"
        )
        return Fault(f"{what}, in a copy per worker", IN_PLACE)
    if len(run) < 2 or len(reference) < 2 or not same_samples(run) or same_samples(reference):
        return None
    if persistent and run[0].get("set_epoch"):
        what = "every epoch repeats the samples of the first: workers that are kept never hear set_epoch"
        return Fault(what, UNHEARD)
    what = "every epoch repeats the samples of the first, which num_workers=0 does not"
    return Fault(f"{what}: what changes them stays in the copy of a worker", CURE)


def same_samples(run: Run) -> bool:
    """Whether the first two epochs hold the same bytes: by index, or in the same order where samples have none."""
    first, second = run[0], run[1]
    if not first["samples"]:
        return False
    return contents(first) == contents(second) if has_indices(run) else first["samples"] == second["samples"]
