"""The zygote: a process that has imported torch and does nothing but fork a fresh process for each job.

Every configuration runs in its own session, so that nothing of one run reaches the next, and without paying for the
import of torch each time. The zygote is the subreaper of all that descends from it: a process that a dataset forks, or
that changes its session, comes back here when orphaned and is killed before the next job. When the harness dies, the
kernel signals the zygote, which takes all its descendants with it.

Protocol: one JSON object a line. A request holds `job` (for `lossimpl.loading.job`), `seconds` (its deadline) and
`folder` (where the job writes its events and its temporary files); the answers are `{"pid"}` at the start and
`{"exit", ...}` at the end.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, TextIO

from lossimpl.loading import processes
from lossimpl.measure.wall import now, sleep

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>
OUTPUT_KEPT = 16_384
POLL_SECONDS = 0.2
STACK_SECONDS = 0.15  # what a process gets to write its stack before the next is asked
MOST_STACK_SECONDS = 2.0  # and all of them together
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
        """The last line of the protocol for this job."""
        return {
            "exit": self.exit,
            "timed_out": self.timed_out,
            "out_of_memory": self.out_of_memory,
            "output": self.output.decode(errors="replace"),
            "cpu_seconds": self.cpu_seconds,
            "pids": sorted(self.pids),
        }


def prctl(option: int, value: int) -> None:
    """Ask the kernel; other systems than Linux have no such call and go without."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def serve(requests: TextIO, answers: TextIO) -> int:
    """Fork a process for each request until the input ends."""
    for line in requests:
        request = json.loads(line)
        signal.signal(signal.SIGTERM, partial(end, request["folder"]))
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            requests.close()
            answers.close()
            finish(become_job(request, writer))
        os.close(writer)
        say(answers, {"pid": pid})
        watched = watch(pid, reader, float(request["seconds"]))
        os.close(reader)
        end_descendants(watched)
        say(answers, watched.answer())
    return 0


def say(answers: TextIO, message: dict[str, Any]) -> None:
    """Write one line of the protocol."""
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def become_job(request: dict[str, Any], output: int) -> int:
    """Turn this forked process into the job: own session and output, dying with the zygote."""
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_CHILD_SUBREAPER, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
    os.environ["TMPDIR"] = tempfile.tempdir = request["folder"]
    processes.name_semaphores(request["folder"])
    from lossimpl.loading import job

    return job.run(request["job"], os.path.join(request["folder"], job.EVENTS))


def finish(code: int) -> NoReturn:
    """End as the interpreter does, threads and exit handlers first, but without taking torch's modules apart: that
    would copy every page shared with the zygote and take longer than most jobs."""
    threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter calls first at its own end
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):  # closed or replaced by the dataset
            stream.flush()
    os._exit(code)


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
        seen.out_of_memory = not ended and memory_is_short()
    os.close(pidfd)
    if not ended:
        ask_for_stacks(seen, reader)
    drain(seen, reader)
    return seen


def keep_output(seen: Watched, reader: int) -> bool:
    """Read what is there, keep the end of it; False once nobody can write any more."""
    data = os.read(reader, 65_536)
    seen.output = (seen.output + data)[-OUTPUT_KEPT:]
    return bool(data)


def drain(seen: Watched, reader: int) -> None:
    """Read what is left in the pipe without waiting for whoever still holds its other end, and never without end."""
    os.set_blocking(reader, False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(16):
            if not keep_output(seen, reader):
                return


def memory_is_short() -> bool:
    """Whether the machine is about to start killing processes by itself."""
    try:
        with open("/proc/meminfo") as lines:
            available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return False
    return available < MEMORY_RESERVE


def ask_for_stacks(seen: Watched, reader: int) -> None:
    """Let each process of the job write where it stands (`faulthandler`, registered by the job), workers first.

    One after the other: they share a pipe, and what two write at once cannot be told apart.
    """
    asked = sorted(processes.descendants(os.getpid()), reverse=True)
    for pid in asked:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGUSR1)
        if not listen(seen, reader, min(STACK_SECONDS, MOST_STACK_SECONDS / len(asked))):
            return


def listen(seen: Watched, reader: int, seconds: float) -> bool:
    """Keep what is written meanwhile; False once nobody can write any more."""
    until = now() + seconds
    while now() < until:
        if select.select([reader], [], [], 0.02)[0] and not keep_output(seen, reader):
            return False
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


def end(folder: str | None, signum: int, frame: object) -> NoReturn:
    """The harness is gone or wants us to go: leave nothing behind, of the job in `folder` neither."""
    del signum, frame
    seen = Watched(0)
    end_descendants(seen)
    processes.remove_segments(seen.pids, set())
    if folder is not None:
        processes.remove_semaphores(folder)
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def main() -> int:
    """Prepare, say so, serve."""
    os.setsid()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, partial(end, None))
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    # here and not at the top, because workers under spawn import this module by name
    from lossimpl.loading import fingerprint, inspection, timing  # noqa: F401  (what jobs need, torch above all)

    say(answers, {"ready": os.getpid()})
    return serve(requests, answers)


if __name__ == "__main__":
    sys.exit(main())
