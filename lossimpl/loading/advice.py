"""What became of a job, in plain words: a status, the cause, and what to do about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lossimpl.loading.known_failures import KNOWN
from lossimpl.loading.launcher import Outcome

STATUSES = ("ok", "invalid", "skipped", "error", "crashed", "timeout", "wrong-data")


@dataclass(frozen=True)
class Diagnosis:
    """A status of `STATUSES` with its cause and advice; both empty for `ok`."""

    status: str
    reason: str = ""
    advice: str = ""


OUT_OF_MEMORY = "smaller batches, fewer workers, a smaller prefetch_factor; metadata as numpy arrays instead of lists"
A_DEATH = "run with num_workers=0 under `python -X faulthandler` to see where it dies"
SILENT = {
    signal.SIGKILL: "killed from outside, most often for want of memory",
    signal.SIGSEGV: "a segmentation fault in native code",
    signal.SIGBUS: "a bus error, most often for want of shared memory",
    signal.SIGABRT: "aborted by native code",
}
TORCH_FILE = re.compile(r"torch/utils/data/(dataloader|sampler)\.py$")
FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')
OURS = r"/lossimpl/loading/(zygote|job|timing|fingerprint|inspection|stages|consumer|peers|distributed|digest|walk)\.py"
LIBRARY = re.compile(rf"/site-packages/torch/|/lib/python3\.\d+/(?!site-packages/)|<frozen|{OURS}")


def diagnose(outcome: Outcome) -> Diagnosis:
    """The status of an ended job."""
    error = outcome.first("error")
    if outcome.out_of_memory:
        return Diagnosis("crashed", "the machine ran out of memory", OUT_OF_MEMORY)
    # A spawned worker has no handler for the signal that asks for stacks and dies of it: that is still a hang.
    if outcome.timed_out and (error is None or "SIGUSR1" in workers_that_died(outcome)):
        return of_hang(outcome)
    if error is not None:
        return of_error(error, outcome)
    if outcome.exit != 0 or outcome.phase != "exit":
        return Diagnosis("crashed", f"the process {died(outcome.exit)} in phase {outcome.phase!r}", A_DEATH)
    return Diagnosis("ok")


def died(code: int | None) -> str:
    """How a process ended, from its exit code."""
    if code is None:
        return "and the one that watched it were killed"
    if code >= 0:
        return f"ended by itself with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was killed by {name}" + (f" ({SILENT[signal.Signals(-code)]})" if -code in SILENT else "")


def of_error(error: Mapping[str, Any], outcome: Outcome) -> Diagnosis:
    """The status of a job that ended with an exception."""
    said = f"{error['type']}: {error['message']}"
    known = next((one for one in KNOWN if re.search(one.pattern, said)), None)
    if error["type"] in ("ImportError", "ModuleNotFoundError") and outcome.phase == "loader":
        return Diagnosis("skipped", f"unavailable: {said}", "install it to compare with it")
    if known is not None:
        place = str(error["message"]) if known.status == "crashed" else innermost(error)
        return Diagnosis(known.status, f"{known.cause}{workers_that_died(outcome)}: {place}", known.advice)
    if error["phase"] in ("import", "build"):
        return Diagnosis(
            "error",
            f"the dataset could not be made: {innermost(error)}",
            "check MODULE:FACTORY: it is imported afresh and called without arguments",
        )
    if rejected(error):
        return Diagnosis(
            "invalid",
            f"DataLoader refuses these arguments: {said or error['type']}",
            "change or leave out the argument that is named",
        )
    if error["type"] in ("IndexError", "KeyError"):
        return Diagnosis(
            "error",
            f"a sample that should exist does not: {innermost(error)}",
            "make `__len__` and the sampler agree with the data",
        )
    if error["type"] in ("SystemExit", "KeyboardInterrupt"):
        return Diagnosis(
            "error", f"the dataset ended the process: {innermost(error)}", "raise an ordinary exception instead"
        )
    return Diagnosis("error", innermost(error), "run with num_workers=0 and look at the line that is named")


def rejected(error: Mapping[str, Any]) -> bool:
    """Whether torch's own code for loader or sampler raised it, before any sample was asked for."""
    early = error["phase"] in ("loader", "first batch")
    frames = error.get("frames") or [["", 0, ""]]
    return (
        early
        and bool(TORCH_FILE.search(frames[-1][0]))
        and error["type"] in ("ValueError", "TypeError", "AssertionError")
    )


def innermost(error: Mapping[str, Any]) -> str:
    """The exception and the place in the user's code where it was raised, also where that was in a worker."""
    lines = [line for line in str(error["message"]).strip().splitlines() if line.strip()]
    text = lines[-1].strip() if lines else "(no message)"
    name = "" if text.startswith(error["type"]) else f"{error['type']}: "
    inner = re.findall(r'File "([^"]+)", line (\d+), in (\S+)', str(error["message"]))
    frames = [list(one) for one in inner] or error.get("frames", [])
    own = [one for one in frames if not LIBRARY.search(one[0])]
    place = f" (in {own[-1][2]}, {own[-1][0].rpartition('/')[2]}:{own[-1][1]})" if own else ""
    return f"{name}{text}{place}"


def workers_that_died(outcome: Outcome) -> str:
    """The exit codes of workers that ended before their time."""
    seen = outcome.first("workers") or {"workers": []}
    codes = sorted({worker["exit"] for worker in seen["workers"] if worker["exit"] not in (None, -signal.SIGTERM)})
    return f" ({'; '.join('a worker ' + died(code) for code in codes)})" if codes else ""


def of_hang(outcome: Outcome) -> Diagnosis:
    """The status of a job that did not end: where it stands, by the stacks that it wrote when asked."""
    frames = [match.groupdict() for match in FRAME.finditer(outcome.output)]
    own = next((one for one in frames if not LIBRARY.search(one["file"])), None)
    where = f"; it hangs in {own['function']} ({own['file'].rpartition('/')[2]}:{own['line']})" if own else ""
    known = next((one for one in KNOWN if re.search(one.pattern, outcome.output)), None)
    if known is not None:
        status = "crashed" if known.status == "crashed" else "timeout"
        return Diagnosis(status, f"no batch came within {outcome.deadline:.0f} s: {known.cause}{where}", known.advice)
    if outcome.phase in ("shutdown", "exit"):
        return Diagnosis(
            "timeout",
            f"measured, but the process did not end{where}",
            "a thread, an exit handler or a worker never finishes: end it in the dataset",
        )
    return Diagnosis(
        "timeout",
        f"no end within the deadline of {outcome.deadline:.0f} s, in phase {outcome.phase!r}{where}",
        "look at the line that is named; give network and lock calls a timeout of their own",
    )
