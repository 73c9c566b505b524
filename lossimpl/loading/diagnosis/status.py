"""What a diagnosis says."""

from __future__ import annotations

from dataclasses import dataclass

STATUSES = ("ok", "invalid", "skipped", "error", "crashed", "timeout", "wrong-data")


@dataclass(frozen=True)
class Diagnosis:
    """A status of `STATUSES` with its cause and advice; both empty for `ok`. `cut`: only the budget has ended."""

    status: str
    reason: str = ""
    advice: str = ""
    cut: bool = False
