"""How the zygote watches a job from outside, and how it ends the job with all that the job started."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass, field
from typing import Any

import psutil

from lossimpl.loading.harness import processes
from lossimpl.measure.wall import now, sleep

OUTPUT_KEPT = 16_384  # bytes, of the end of what a job prints
POLL_SECONDS = 0.2
STACK_SECONDS = 0.15  # for one process to begin to write its stack before the next is asked
QUIET_SECONDS = 0.05  # after which it has written all of it
ALL_STACKS_SECONDS = 2.0
TRACKER_SECONDS = 2.0
MEMORY_RESERVE = 256 << 20


@dataclass
class Watched:
    """What was seen of one job from outside."""

    pid: int
    exit: int | None = None
    timed_out: bool = False
    out_of_memory: bool = False
    output: bytes = b""
    cpu_seconds: float = 0.0
    pids: set[int] = field(default_factory=set)

    def answer(self) -> dict[str, Any]:
        """The last line of the protocol for this job: the arguments of `Outcome`, and which processes there were."""
        return {**vars(self), "output": self.output.decode(errors="replace"), "pids": sorted(self.pids)}


def watch(pid: int, reader: int, seconds: float) -> Watched:
    """Wait for the job until its deadline, keeping the end of what it prints."""
    seen = Watched(pid, pids={pid})
    deadline, pidfd, poll = now() + seconds, os.pidfd_open(pid), select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(reader, select.POLLIN)
    ended = False
    while not ended and not seen.timed_out and not seen.out_of_memory:
        for fd, _ in poll.poll(POLL_SECONDS * 1000):
            ended = ended or fd == pidfd
            if fd == reader and not keep_output(seen, reader):
                poll.unregister(reader)
        seen.pids.update(processes.descendants(os.getpid()))
        seen.timed_out = not ended and now() > deadline
        # before the kernel starts to kill processes by itself
        seen.out_of_memory = not ended and psutil.virtual_memory().available < MEMORY_RESERVE
    os.close(pidfd)
    if not ended:
        ask_for_stacks(seen, reader)
    drain(seen, reader)
    return seen


def keep_output(seen: Watched, reader: int) -> bool:
    """Read what is there and keep its end; False once nobody can write any more."""
    data = os.read(reader, 65_536)
    seen.output = (seen.output + data)[-OUTPUT_KEPT:]
    return bool(data)


def drain(seen: Watched, reader: int) -> None:
    """Read what is left in the pipe, without waiting for a process that still holds its other end, and with a limit."""
    os.set_blocking(reader, False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(16):
            if not keep_output(seen, reader):
                return


def ask_for_stacks(seen: Watched, reader: int) -> None:
    """Let each process of the job write its stack (`faulthandler`, registered by the job), workers first.

    One after the other: they share a pipe, and two stacks written at once would be mixed.
    """
    asked = sorted(processes.descendants(os.getpid()), reverse=True)
    for pid in asked:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGUSR1)
        if not listen(seen, reader, min(STACK_SECONDS, ALL_STACKS_SECONDS / len(asked))):
            return


def listen(seen: Watched, reader: int, seconds: float) -> bool:
    """Keep what is written until `QUIET_SECONDS` after it, or for `seconds`; False once nobody can write any more."""
    until = now() + seconds
    while (left := until - now()) > 0 and select.select([reader], [], [], left)[0]:
        if not keep_output(seen, reader):
            return False
        until = min(until, now() + QUIET_SECONDS)
    return True


def end_descendants(seen: Watched) -> None:
    """Kill and reap everything that descends from here, until nothing is left.

    The resource tracker of `multiprocessing` gets a moment to end by itself: it removes the named semaphores of spawn.
    """
    patience = now() + TRACKER_SECONDS
    while pids := processes.descendants(os.getpid()):
        seen.pids.update(pids)
        spared = {pid for pid in pids if now() < patience and processes.is_resource_tracker(pid)}
        for pid in pids - spared:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap(seen)
        sleep(0.005)
    reap(seen)


def reap(seen: Watched) -> None:
    """Take the exit status of all dead children, and note that of the job."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            seen.cpu_seconds += usage.ru_utime + usage.ru_stime
            if pid == seen.pid:
                seen.exit = os.waitstatus_to_exitcode(status)
