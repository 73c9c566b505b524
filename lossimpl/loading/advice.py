"""What became of a job, in plain words: a status, the cause, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from lossimpl.loading.launcher import Outcome

STATUSES = ("ok", "invalid", "skipped", "error", "crashed", "timeout", "wrong-data")


@dataclass(frozen=True)
class Diagnosis:
    """A status of `STATUSES` with its cause and advice; both empty for `ok`."""

    status: str
    reason: str = ""
    advice: str = ""


def diagnose(outcome: Outcome) -> Diagnosis:
    """The status of an ended job."""
    error = outcome.first("error")
    if outcome.timed_out:
        return Diagnosis("timeout", f"no end within the deadline, in phase {outcome.phase!r}")
    if error is not None:
        return Diagnosis("error", f"{error['type']}: {error['message']}")
    if outcome.exit != 0:
        return Diagnosis("crashed", f"exit {outcome.exit} in phase {outcome.phase!r}")
    return Diagnosis("ok")
