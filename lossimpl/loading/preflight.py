"""Before a run: what is likely to fail or to mislead on this machine, found by looking and not by trying."""

from __future__ import annotations

from dataclasses import dataclass

from lossimpl.loading.workload import Workload


@dataclass(frozen=True)
class Finding:
    """One thing to know before the run: which check found it, what it found, and what to do about it."""

    check: str
    what: str
    advice: str


def of_workload(workload: Workload) -> list[Finding]:
    """What the dataset holds that does not travel well."""
    del workload
    return []
