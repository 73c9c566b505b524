"""The diagnosis of a process that died: how it ended, why most likely, and what to do."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from lossimpl.loading.diagnosis.known_failures import Known
from lossimpl.loading.diagnosis.stacks import last_words
from lossimpl.loading.diagnosis.status import Diagnosis
from lossimpl.loading.harness.launcher import Outcome

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


def died(code: int | None) -> str:
    """How a process ended, from its exit code."""
    if code is None:
        return "and the one that watched it were killed"
    if code >= 0:
        return f"ended by itself with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was killed by {name}" + (f" ({SIGNALS[signal.Signals(-code)]})" if -code in SIGNALS else "")


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
