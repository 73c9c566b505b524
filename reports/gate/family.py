"""All processes that descend from a worker, identified by a mark in their environment, and how they are ended.

A loader's row starts processes in sessions of their own, which no signal to the worker's group reaches, and orphans
lose their parent. The mark stays with all of them, since the kernel keeps the environment that each was started with.
"""

from __future__ import annotations

import contextlib
import os
import signal
import uuid
from pathlib import Path

from lossimpl.measure import wall

MARK = "LOSSIMPL_GATE_WORKER"
GRACE_SECONDS = 3.0  # for a process that ends its children or removes its files when it is asked to end
POLL_SECONDS = 0.05


def marked() -> tuple[dict[str, str], bytes]:
    """A unique variable for a worker's environment, and the same as the bytes that are found there."""
    value = uuid.uuid4().hex
    return {MARK: value}, f"{MARK}={value}".encode()


def members(mark: bytes) -> set[int]:
    """The running processes with the mark."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    return found


def end(mark: bytes) -> None:
    """Ask all of them to end, then kill the rest."""
    send(members(mark), signal.SIGTERM)
    until = wall.now() + GRACE_SECONDS
    while (left := members(mark)) and wall.now() < until:
        wall.sleep(POLL_SECONDS)
    while left:
        send(left, signal.SIGKILL)
        wall.sleep(POLL_SECONDS)
        left = members(mark)


def send(pids: set[int], number: signal.Signals) -> None:
    """Signal those of the processes that still exist."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
