"""From the outcome of a job to its diagnosis: a status, the cause in plain words, and what to do about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping
from typing import Any

from lossimpl.loading.diagnosis.deaths import advice_on, died, exit_codes, of_death
from lossimpl.loading.diagnosis.known_failures import KNOWN
from lossimpl.loading.diagnosis.raised import FRAME as RAISED_IN
from lossimpl.loading.diagnosis.raised import describe, shortened
from lossimpl.loading.diagnosis.stacks import LIBRARY, innermost_of_stack, last_words, package_of_stack
from lossimpl.loading.diagnosis.status import Diagnosis
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.harness.workers import ENDED_WELL

OUT_OF_MEMORY = "smaller batches, fewer workers, a smaller prefetch_factor; metadata as numpy arrays instead of lists"
HANGING = (
    "check the line that is named: give network and lock calls a timeout of their own; under fork, locks and OpenMP "
    "threads from before the fork never answer in a worker: make them there, or use multiprocessing_context='spawn'"
)
SLOW_START = "workers under spawn and forkserver import everything again: raise --budget, or use persistent_workers"
TORCH_FILE = re.compile(r"torch/utils/data/(dataloader|sampler)\.py$")
QUEUE_FILE = re.compile(r"/multiprocessing/(connection|resource_sharer)\.py$")


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
    """Whether the user's code raised it, or called what did."""
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
    how = f"not finished within {seconds}, many times its expected time, in phase {outcome.phase!r}"
    if outcome.phase == "first batch" and not where:
        return Diagnosis("timeout", f"{how}: the workers had not started", SLOW_START)
    return Diagnosis("timeout", f"{how}{where or package_of_stack(outcome)}", HANGING)
