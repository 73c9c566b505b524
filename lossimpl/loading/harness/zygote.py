"""The zygote: a process that has imported torch and does nothing but fork a fresh process for each job.

Every job runs in its own session, so that nothing of one reaches the next, and without paying for the import of torch
each time. The zygote is the subreaper of all its descendants: a process that a dataset forks, or that changes its
session, becomes a child of the zygote when orphaned and is killed before the next job. When the harness dies, the
kernel signals the zygote, which ends all its descendants with itself.

Protocol: one JSON object per line. A request holds `job` (for `lossimpl.loading.harness.job`), `seconds` (its deadline)
and `folder` (where the job writes its events and its temporary files); the answers are `{"pid"}` at the start and
`{"exit", ...}` at the end.

Workers under spawn import this module by name, so nothing heavy is imported at its top.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from functools import partial
from typing import Any, NoReturn, TextIO

from lossimpl.loading.harness import job, processes, watch

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>


def prctl(option: int, value: int) -> None:
    """The system call; systems other than Linux have none and go without."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def serve(requests: TextIO, answers: TextIO) -> int:
    """Fork a process for each request until the input ends."""
    for line in requests:
        request = json.loads(line)
        signal.signal(signal.SIGTERM, partial(end, request["folder"]))
        preload(request["job"]["task"])
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            requests.close()
            answers.close()
            finish(become_job(request, writer))
        os.close(writer)
        say(answers, {"pid": pid})
        seen = watch.watch(pid, reader, float(request["seconds"]))
        os.close(reader)
        watch.end_descendants(seen)
        say(answers, seen.answer())
    return 0


def preload(task: str) -> None:
    """Import the task's module here, so that later jobs have it too; a job whose task cannot be imported reports it."""
    with contextlib.suppress(ImportError):
        importlib.import_module(task.partition(":")[0])


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
    return job.run(request["job"], os.path.join(request["folder"], job.EVENTS))


def finish(code: int) -> NoReturn:
    """End as the interpreter does, threads and exit handlers first, but without tearing torch's modules down.

    That would copy every page shared with the zygote and take longer than most jobs.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter calls first at its own end
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):  # closed or replaced by the dataset
            stream.flush()
    os._exit(code)


def end(folder: str | None, signum: int, frame: object) -> NoReturn:
    """The harness has ended or asks us to end: leave nothing behind, including the job in `folder`."""
    del signum, frame
    seen = watch.Watched(0)
    watch.end_descendants(seen)
    processes.remove_segments(seen.pids, set())
    if folder is not None:
        processes.remove_semaphores(folder)
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def main() -> int:
    """Prepare, report that, and serve."""
    os.setsid()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, partial(end, None))
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    importlib.import_module("torch.utils.data")
    say(answers, {"ready": os.getpid()})
    return serve(requests, answers)


if __name__ == "__main__":
    sys.exit(main())
