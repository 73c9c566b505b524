"""From the outcome of a job to its diagnosis: a status, the cause in plain words, and what to do about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossimpl.loading.diagnosis.known_failures import KNOWN, Known
from lossimpl.loading.diagnosis.raised import FRAME as RAISED_IN
from lossimpl.loading.diagnosis.raised import describe, shortened
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.harness.workers import ENDED_WELL

STATUSES = ("ok", "invalid", "skipped", "error", "crashed", "timeout", "wrong-data")


@dataclass(frozen=True)
class Diagnosis:
    """A status of `STATUSES` with its cause and advice; both empty for `ok`. `cut`: only the budget has ended."""

    status: str
    reason: str = ""
    advice: str = ""
    cut: bool = False


OUT_OF_MEMORY = "smaller batches, fewer workers, a smaller prefetch_factor; metadata as numpy arrays instead of lists"
BY_SIGNAL = "run with num_workers=0 under `python -X faulthandler` to see where it dies"
BY_ITSELF = "find what ends the process (os._exit, exit, a library that gives up) and let it raise an exception instead"
KILLED = "most often out of memory: fewer workers, a smaller prefetch_factor, metadata as numpy arrays instead of lists"
SHORT_FILE = "a memory-mapped file that was made shorter, or a failing disk, ends in this signal: check the file's size"
LESS_SHARED = "fewer workers, a smaller prefetch_factor or smaller batches; in a container, --shm-size or --ipc=host"
PLENTY = 64 << 20  # bytes free in /dev/shm with which a bus error has another cause
WORKER_DIED = "a worker died"
QUIETLY = " (os._exit, or a KeyboardInterrupt, after which torch ends a worker silently)"
SIGNALS = {
    signal.SIGKILL: "killed from outside, most often for lack of memory",
    signal.SIGSEGV: "a segmentation fault in native code",
    signal.SIGBUS: "a bus error",
    signal.SIGABRT: "aborted by native code",
}
HANGING = (
    "check the line that is named: give network and lock calls a timeout of their own; under fork, locks and OpenMP "
    "threads from before the fork never answer in a worker: make them there, or use multiprocessing_context='spawn'"
)
SLOW_START = "workers under spawn and forkserver import everything again: raise --budget, or use persistent_workers"
TORCH_FILE = re.compile(r"torch/utils/data/(dataloader|sampler)\.py$")
QUEUE_FILE = re.compile(r"/multiprocessing/(connection|resource_sharer)\.py$")
FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')
PRINTED = re.compile(
    r"^Process \S*Process-\d+:\n( +\+ Exception Group Traceback.*\n(?: .*\n)*|Traceback.*\n(?: .*\n)*\S.*)",
    re.MULTILINE,
)
# What is not the user's code: installed packages, the standard library, and this package but for its datasets.
LIBRARY = re.compile(
    r"/(?:site|dist)-packages/(?!lossimpl/loading/datasets/)|/lib/python3\.\d+/|<frozen|/lossimpl/loading/(?!datasets/)"
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
        return Diagnosis("crashed", how, advice_on([outcome.exit], outcome))
    if codes := [code for code in exit_codes(outcome) if code not in ENDED_WELL]:
        how = f"all batches came, but at its shutdown a worker {died(codes[0])}{last_words(outcome)}"
        return Diagnosis("crashed", how, advice_on(codes, outcome))
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
    known = next((one for one in KNOWN if re.search(one.pattern, said) and not (one.of_torch and is_own(error))), None)
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


def is_own(error: Mapping[str, Any]) -> bool:
    """Whether code of the user's raised it, or called what did."""
    return any(not LIBRARY.search(match["file"]) for match in RAISED_IN.finditer(error["trace"]))


def raised_in_collate(error: Mapping[str, Any]) -> bool:
    """Whether torch's own collate raised it."""
    files = [match["file"] for match in RAISED_IN.finditer(error["trace"])]
    return bool(files) and files[-1].endswith("torch/utils/data/_utils/collate.py")


# Errors whose message no pattern recognises: which ones, their status, the beginning of the reason, the advice.
ERRORS: tuple[tuple[Callable[[Mapping[str, Any]], bool], str, str, str], ...] = (
    (
        lambda error: error["type"] in ("SystemExit", "KeyboardInterrupt"),
        "error",
        "the dataset ended the process: ",
        "raise an ordinary exception instead",
    ),
    (
        lambda error: error["phase"] in ("import", "build"),
        "error",
        "the dataset could not be built: ",
        "it is imported in a fresh process and called without arguments; check the line that is named",
    ),
    (rejected, "invalid", "DataLoader refuses these arguments: ", "change or leave out the argument that is named"),
    (
        lambda error: error["type"] == "KeyError" and raised_in_collate(error),
        "error",
        "only some samples have this key: ",
        "return the same keys for every sample, or pass a collate_fn that handles missing ones",
    ),
    (
        lambda error: "object is not subscriptable" in error["trace"] and raised_in_collate(error),
        "error",
        "`__getitems__` does not return a list of samples: ",
        "return a list of one sample per index",
    ),
    (
        lambda error: error["type"] in ("IndexError", "KeyError"),
        "error",
        "a sample that should exist does not: ",
        "make `__len__` and the sampler agree with the data, or check the line that is named",
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
    cause = known.cause if known else WORKER_DIED
    if -signal.SIGBUS in worst or "Bus error" in said:
        cause = "shared memory is exhausted" if lacks_shared_memory(outcome) else WORKER_DIED
    advice = LESS_SHARED if cause == "shared memory is exhausted" else advice_on(worst, outcome)
    if not worst:
        return Diagnosis("crashed", f"{cause}: {said}", known.advice if known and cause == known.cause else advice)
    how = f"{' and another '.join(map(died, worst))}{'' if any(worst) else QUIETLY}, in phase {outcome.phase!r}"
    who = "it" if cause == WORKER_DIED else "a worker"
    return Diagnosis("crashed", f"{cause}: {who} {how}{last_words(outcome)}", advice)


def lacks_shared_memory(outcome: Outcome) -> bool:
    """Whether a bus error can be for lack of shared memory: little of it is left, and torch was writing to it."""
    error = outcome.first("error") or {}
    fatal = outcome.output.rpartition("Fatal Python error")[2] if "Fatal Python error" in outcome.output else ""
    in_collate = "/torch/" in fatal or "multiprocessing" in fatal or not fatal
    return in_collate and int(error.get("shared_free", 0)) < PLENTY


def advice_on(codes: Sequence[int | None], outcome: Outcome) -> str:
    """What to do about processes that ended with these exit codes."""
    if -signal.SIGBUS in codes:
        return LESS_SHARED if lacks_shared_memory(outcome) and any_worker(outcome) else SHORT_FILE
    if -signal.SIGKILL in codes:
        return KILLED
    return BY_ITSELF if all(code is not None and code >= 0 for code in codes) and codes else BY_SIGNAL


def any_worker(outcome: Outcome) -> bool:
    """Whether the job had workers, which send their batches through shared memory."""
    return bool((outcome.first("workers") or {"workers": []})["workers"])


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
    """The status of a job that did not end: where it was, from the stacks that it wrote when asked."""
    where, seconds = innermost_of_stack(outcome.output, "; it was in"), f"{outcome.deadline:.0f} s"
    known = next((one for one in KNOWN if re.search(one.pattern, outcome.output)), None)
    if known is not None and not outcome.cut:
        status = "crashed" if known.status == "crashed" else "timeout"
        said = next((line for line in outcome.output.splitlines() if re.search(known.pattern, line)), "").strip()
        how = f"no batch came within {seconds}: {known.cause}: {shortened(said)}{where}"
        return Diagnosis(status, how, known.advice)
    if outcome.cut:
        how = f"the budget ended after {seconds} in phase {outcome.phase!r}{where}"
        return Diagnosis("timeout", how, "raise --budget; or it hangs there: check the line that is named", cut=True)
    if outcome.phase in ("shutdown", "exit"):
        return Diagnosis(
            "timeout",
            f"measured, but the process did not end{where}",
            "a thread, an exit handler or a worker never finishes: end it in the dataset",
        )
    how = f"not finished within {seconds}, many times what it should take, in phase {outcome.phase!r}"
    if outcome.phase == "first batch" and not where:
        return Diagnosis("timeout", f"{how}: the workers had not started", SLOW_START)
    return Diagnosis("timeout", f"{how}{where or unseen(outcome)}", HANGING)


def unseen(outcome: Outcome) -> str:
    """Where a job hangs whose stacks show no code of the user's: in a package, or nowhere that is known."""
    packages = [match["file"] for match in FRAME.finditer(outcome.output) if "-packages/" in match["file"]]
    found = next((name for name in packages if "/torch/" not in name and "/lossimpl/" not in name), "")
    return f"; it was in {re.split('(?:site|dist)-packages/', found)[-1]}" if found else ""
