"""Processes and shared-memory segments: which process descends from which, and what a job left behind."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from multiprocessing.process import current_process
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")
SEGMENT = re.compile(r"torch_(\d+)_")


def descendants(pid: int) -> set[int]:
    """All living or unreaped processes below `pid`."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        children = children_of(waiting.pop())
        waiting.extend(children - found)
        found |= children
    return found


def children_of(pid: int) -> set[int]:
    """The children of all threads of `pid`.

    Asked many times a second beside a measurement, so from the kernel's own list: psutil, which reads every process of
    the machine, is asked only where the kernel has no such list.
    """
    children: set[int] = set()
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(ProcessLookupError):
                children.update(map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split()))
    except FileNotFoundError:
        with contextlib.suppress(psutil.NoSuchProcess):
            children.update(child.pid for child in psutil.Process(pid).children())
    except ProcessLookupError:
        pass
    return children


def is_resource_tracker(pid: int) -> bool:
    """Whether this is the helper of `multiprocessing` that removes what killed processes leave."""
    try:
        return b"multiprocessing.resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def segments() -> set[str]:
    """The names of torch's shared-memory segments that exist now."""
    try:
        return {name for name in os.listdir(SHARED_MEMORY) if SEGMENT.match(name)}
    except FileNotFoundError:
        return set()


def remove_segments(pids: Iterable[int], before: set[str]) -> None:
    """Remove the segments that appeared since `before` and carry the id of one of `pids` in their names."""
    ours = set(pids)
    for name in segments() - before:
        found = SEGMENT.match(name)
        if found and int(found.group(1)) in ours:
            (SHARED_MEMORY / name).unlink(missing_ok=True)


def name_semaphores(folder: str) -> None:
    """Give the named semaphores that this process and its children make from now on the name of the job's folder.

    Under spawn and forkserver `multiprocessing` names them; only its resource tracker removes those of a killed
    process, and that tracker may be killed too.
    """
    current_process()._config["semprefix"] = f"/{Path(folder).name}"  # type: ignore[attr-defined]  # no public way


def remove_semaphores(folder: str) -> None:
    """Remove the semaphores that a job left."""
    for left in SHARED_MEMORY.glob(f"sem.{Path(folder).name}-*"):
        left.unlink(missing_ok=True)


def in_session(session: int) -> set[int]:
    """The processes of a session: what is left of a job when the zygote itself was killed."""
    found = set()
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == session:
                found.add(pid)
    return found
