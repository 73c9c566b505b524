"""Before a run: what is likely to fail or to mislead on this machine, found by looking at the dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from lossimpl import wording
from lossimpl.loading.data.generators import HELD as GENERATORS
from lossimpl.loading.data.objects import is_a, walk
from lossimpl.loading.inspection.handles import handle_of, lock_of
from lossimpl.loading.inspection.pickling import pickled_size, unpicklable
from lossimpl.loading.inspection.result import Finding
from lossimpl.loading.workload import Workload

PARTS = ("dataset", "collate_fn", "worker_init_fn", "sampler", "batch_sampler")
LONG_LIST = 100_000  # Python objects; below, copying their pages costs a worker a few MiB
LARGE_PICKLE = 64 << 20
USE_SAMPLE_RNG = "draw from lossimpl.loading.SampleRNG, a generator per (seed, epoch, index)"


def parts(workload: Workload) -> Iterator[tuple[str, Any]]:
    """The parts of a workload that go to the workers, by name."""
    for name in PARTS:
        if getattr(workload, name) is not None:
            yield name, getattr(workload, name)


def pickles(workload: Workload) -> Iterator[Finding]:
    """What spawn and forkserver could not send, by the path of the attribute; and what is large to send."""
    for name, part in parts(workload):
        size = pickled_size(part)
        if size is None:
            path, reason = unpicklable(part, name)
            yield Finding(
                "pickle",
                f"{path} cannot be pickled: {reason}",
                "works under fork only; make it a function or class at the top of a module",
            )
        elif size > LARGE_PICKLE:
            yield Finding(
                "pickle size",
                f"{name} pickles to {wording.size(size)}, once per worker",
                "under spawn and forkserver keep the data in a file or in shared memory",
            )


def held(workload: Workload) -> Iterator[Finding]:
    """What the dataset holds, by the path of the attribute, that workers should not copy or share."""
    found: list[str] = []
    for path, value in walk(workload.dataset, "dataset"):
        inside = any(path.startswith((f"{one}.", f"{one}[")) for one in found)  # a handle holds files and locks itself
        finding = None
        with suppress(Exception):  # a user's object may raise whenever it is looked at
            finding = None if inside else of_value(path, value)
        if finding:
            found.append(path)
            yield finding


def of_value(path: str, value: Any) -> Finding | None:
    """A generator that nobody seeds, an open handle, a lock, or many objects, whose reference counts copy pages."""
    if is_a(value, GENERATORS):
        what = f"{path} holds a {type(value).__name__}, which each worker copies"
        return Finding("random generator", what, USE_SAMPLE_RNG)
    if handle := handle_of(value):
        return Finding("open handle", f"{path} is {handle.what}", handle.advice)
    if lock := lock_of(value):
        return Finding("lock", f"{path} is {lock.what}", lock.advice)
    if is_a(value, (list, dict, tuple)) and len(value) > LONG_LIST:
        what = f"{path} holds {wording.count(len(value))} Python objects, which each worker copies"
        return Finding("copies", what, "keep them as a numpy array")
    return None


def samplers(workload: Workload) -> Iterator[Finding]:
    """A sampler of fixed order that leaves samples out or repeats them, which is allowed but may be a mistake."""
    found = workload.sampler
    if found is None or not hasattr(workload.dataset, "__len__") or not isinstance(found, list | tuple | range):
        return
    missing, repeated = len(workload.dataset) - len(set(found)), len(found) - len(set(found))
    if missing or repeated:
        yield Finding(
            "sampler", f"sampler leaves out {missing} samples and repeats {repeated}", "check that this is meant"
        )


CHECKS = (held, samplers, pickles)  # pickling last: it runs the objects' own code, which may end the process


def of_workload(workload: Workload) -> list[Finding]:
    """What the dataset and its functions hold that does not reach workers well."""
    return [finding for check in CHECKS for finding in check(workload)]
