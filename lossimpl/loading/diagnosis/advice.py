"""From the outcome of a job to its diagnosis: a status, the cause in plain words, and what to do about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lossimpl.loading.diagnosis.known_failures import KNOWN, Known
from lossimpl.loading.diagnosis.raised import describe, shortened
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.harness.workers import ENDED_WELL

STATUSES = ("ok", "invalid", "skipped", "error", "crashed", "timeout", "wrong-data")


@dataclass(frozen=True)
class Diagnosis:
    """A status of `STATUSES` with its cause and advice; both empty for `ok`."""

    status: str
    reason: str = ""
    advice: str = ""


OUT_OF_MEMORY = "smaller batches, fewer workers, a smaller prefetch_factor; metadata as numpy arrays instead of lists"
A_DEATH = "run with num_workers=0 under `python -X faulthandler` to see where it dies"
WORKER_DIED = "a worker died"
QUIETLY = " (os._exit, or a KeyboardInterrupt, after which torch ends a worker silently)"
SIGNALS = {
    signal.SIGKILL: "killed from outside, most often for lack of memory",
    signal.SIGSEGV: "a segmentation fault in native code",
    signal.SIGBUS: "a bus error, most often for lack of shared memory",
    signal.SIGABRT: "aborted by native code",
}
TORCH_FILE = re.compile(r"torch/utils/data/(dataloader|sampler)\.py$")
QUEUE_FILE = re.compile(r"/multiprocessing/(connection|resource_sharer)\.py$")
FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')
PRINTED = re.compile(
    r"^Process \S*Process-\d+:\n( +\+ Exception Group Traceback.*\n(?: .*\n)*|Traceback.*\n(?: .*\n)*\S.*)",
    re.MULTILINE,
)
# What is not the user's code: torch, the standard library, and this package but for its datasets.
LIBRARY = re.compile(
    r"/site-packages/torch/|/lib/python3\.\d+/(?!site-packages/)|<frozen|/lossimpl/loading/(?!datasets/)"
)


def diagnose(outcome: Outcome) -> Diagnosis:
    """The status of an ended job."""
    error = outcome.first("error")
    if outcome.out_of_memory:
        return Diagnosis("crashed", "the machine ran out of memory", OUT_OF_MEMORY)
    # A spawned worker has no handler for the signal that asks for stacks and dies of it: that is still a hang.
    if outcome.timed_out and (error is None or -signal.SIGUSR1 in exit_codes(outcome)):
        return of_hang(outcome)
    if error is not None:
        return of_error(error, outcome)
    if outcome.exit != 0 or outcome.phase != "exit":
        how = f"the process {died(outcome.exit)} in phase {outcome.phase!r}{last_words(outcome)}"
        return Diagnosis("crashed", how, A_DEATH)
    if codes := [code for code in exit_codes(outcome) if code not in ENDED_WELL]:
        how = f"all batches came, but at its shutdown a worker {died(codes[0])}{last_words(outcome)}"
        return Diagnosis("crashed", how, A_DEATH)
    return Diagnosis("ok")


def died(code: int | None) -> str:
    """How a process ended, from its exit code."""
    if code is None:
        return "and the one that watched it were killed"
    if code >= 0:
        return f"ended by itself with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was killed by {name}" + (f" ({SIGNALS[signal.Signals(-code)]})" if -code in SIGNALS else "")


def of_error(error: Mapping[str, Any], outcome: Outcome) -> Diagnosis:
    """The status of a job that ended with an exception."""
    said = describe(error["trace"], LIBRARY.search) if error["trace"] else error["type"]
    known = next((one for one in KNOWN if re.search(one.pattern, said)), None)
    if error["type"] in ("ImportError", "ModuleNotFoundError") and outcome.phase == "loader":
        return Diagnosis("skipped", f"unavailable: {said}", "install it to compare with it")
    if (known and known.status == "crashed") or lost_worker(error, outcome):
        return of_death(said, known, outcome)
    if known is not None:
        return Diagnosis(known.status, f"{known.cause}: {said}", known.advice)
    return next(Diagnosis(status, words + said, advice) for fits, status, words, advice in ERRORS if fits(error))


def rejected(error: Mapping[str, Any]) -> bool:
    """Whether torch's own code for loader or sampler raised it, before any sample was asked for."""
    early = error["phase"] in ("loader", "first batch")
    return (
        early
        and bool(TORCH_FILE.search(innermost(error)))
        and error["type"] in ("ValueError", "TypeError", "AssertionError")
    )


# Errors whose message no pattern recognises: which ones, their status, the beginning of the reason, the advice.
ERRORS: tuple[tuple[Callable[[Mapping[str, Any]], bool], str, str, str], ...] = (
    (
        lambda error: error["phase"] in ("import", "build"),
        "error",
        "the dataset could not be built: ",
        "check MODULE:FACTORY: it is imported in a fresh process and called without arguments",
    ),
    (rejected, "invalid", "DataLoader refuses these arguments: ", "change or leave out the argument that is named"),
    (
        lambda error: error["type"] in ("IndexError", "KeyError"),
        "error",
        "a sample that should exist does not: ",
        "make `__len__` and the sampler agree with the data, or check the line that is named",
    ),
    (
        lambda error: error["type"] in ("SystemExit", "KeyboardInterrupt"),
        "error",
        "the dataset ended the process: ",
        "raise an ordinary exception instead",
    ),
    (lambda error: True, "error", "", "check the line that is named; with num_workers=0 a debugger stops there"),
)


def innermost(error: Mapping[str, Any]) -> str:
    """The file of the line that raised."""
    frames = error.get("frames") or [["", 0, ""]]
    return str(frames[-1][0])


def lost_worker(error: Mapping[str, Any], outcome: Outcome) -> bool:
    """Whether a worker died and the loader's exception only follows from that.

    A worker that ends well may take the socket of a batch on its way with it: then `multiprocessing` finds no file.
    """
    died = any(code not in ENDED_WELL for code in exit_codes(outcome))
    return not error["in_worker"] and (died or bool(QUEUE_FILE.search(innermost(error))))


def of_death(said: str, known: Known | None, outcome: Outcome) -> Diagnosis:
    """The status of a job whose worker died: how it ended, and what it printed last, if anything."""
    codes = exit_codes(outcome)
    worst = [code for code in codes if code != 0] or codes
    cause, advice = (known.cause, known.advice) if known else (WORKER_DIED, A_DEATH)
    if not worst:
        return Diagnosis("crashed", f"{cause}: {said}", advice)
    if cause == WORKER_DIED and -signal.SIGKILL not in worst:
        advice = A_DEATH
    how = f"{' and another '.join(map(died, worst))}{'' if any(worst) else QUIETLY}, in phase {outcome.phase!r}"
    who = "it" if cause == WORKER_DIED else "a worker"
    return Diagnosis("crashed", f"{cause}: {who} {how}{last_words(outcome)}", advice)


def exit_codes(outcome: Outcome) -> list[int]:
    """The exit codes of the workers that had ended when the job recorded them."""
    seen = outcome.first("workers") or {"workers": []}
    return sorted({worker["exit"] for worker in seen["workers"] if worker["exit"] is not None})


def last_words(outcome: Outcome) -> str:
    """What a dying process printed: a worker's exception that is no `Exception`, or the place of a fatal signal.

    torch does not catch the former, and `multiprocessing` prints it; `faulthandler` prints the latter.
    """
    raised, fatal = PRINTED.findall(outcome.output), outcome.output.rpartition("Fatal Python error")[2]
    if raised:
        return f"; it raised {describe(raised[-1], LIBRARY.search)}"
    return innermost_of_stack(fatal, "; it was in") if "Fatal Python error" in outcome.output else ""


def innermost_of_stack(stack: str, words: str) -> str:
    """The innermost function of the user's code in a stack that `faulthandler` wrote, after `words`; else nothing."""
    frames = [match.groupdict() for match in FRAME.finditer(stack)]
    own = next((one for one in frames if not LIBRARY.search(one["file"])), None)
    return f"{words} {own['function']} ({own['file'].rpartition('/')[2]}:{own['line']})" if own else ""


def of_hang(outcome: Outcome) -> Diagnosis:
    """The status of a job that did not end: where it hangs, from the stacks that it wrote when asked."""
    where = innermost_of_stack(outcome.output, "; it hangs in")
    known = next((one for one in KNOWN if re.search(one.pattern, outcome.output)), None)
    if known is not None:
        status = "crashed" if known.status == "crashed" else "timeout"
        said = next((line for line in outcome.output.splitlines() if re.search(known.pattern, line)), "").strip()
        how = f"no batch came within {outcome.deadline:.0f} s: {known.cause}: {shortened(said)}{where}"
        return Diagnosis(status, how, known.advice)
    if outcome.phase in ("shutdown", "exit"):
        return Diagnosis(
            "timeout",
            f"measured, but the process did not end{where}",
            "a thread, an exit handler or a worker never finishes: end it in the dataset",
        )
    return Diagnosis(
        "timeout",
        f"not finished within the deadline of {outcome.deadline:.0f} s, in phase {outcome.phase!r}{where}",
        "check the line that is named; give network and lock calls a timeout of their own",
    )
