"""Rows and sessions as frames: their columns, and which of these identify a row."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from reports.record.schema import Record

NUMBERS = [
    "value", "low", "high", "number", "threads", "value_max_rel", "value_mean_rel", "value_ulp", "grad_max_rel",
    "grad_mean_rel", "grad_ulp", "traffic", "ceiling", "share", "share_low", "share_high", "peak_bytes", "saved_bytes",
]  # fmt: skip
FINITE = ["traffic", "ceiling", "share", "peak_bytes", "saved_bytes"]  # an error may be infinite, these cannot
SESSION = ["machine", "env", "commit", "session"]  # what one statement may speak of; `session` is "" in format 1
KEY = [*SESSION, "benchmark", "params"]
COLUMNS = [
    "id", *KEY, "version", "date", "python", "loss", "implementation", "shape", "dtype", "device", "mode", "status",
    "reason", "value", "low", "high", "times", "ceilings", "samples", "number", "stop", "busy", "threads",
    "verdict", "value_max_rel", "value_mean_rel", "value_ulp", "grad_max_rel", "grad_mean_rel", "grad_ulp",
    "traffic", "ceiling", "ceiling_name", "level", "share", "share_low", "share_high",
    "peak_bytes", "saved_bytes", "manifest", "started_at",
]  # fmt: skip
SESSION_COLUMNS = [*SESSION, "grid", "began_at", "seconds", "timed_seconds", "rounds"]


def frame(rows: Iterable[Record]) -> pd.DataFrame:
    """Rows as a frame that has all `COLUMNS`, whose numbers are numbers."""
    found = pd.DataFrame(list(rows))
    found = found.reindex(columns=list(dict.fromkeys([*COLUMNS, *found.columns])))
    found[NUMBERS] = found[NUMBERS].apply(pd.to_numeric, errors="coerce").astype(float)
    found[FINITE] = found[FINITE].where(found[FINITE].abs() < float("inf"))
    return found


def session_frame(lines: Iterable[Record]) -> pd.DataFrame:
    """What sessions wrote about themselves; of several lines of one session the last."""
    stored = pd.DataFrame(list(lines)).reindex(columns=SESSION_COLUMNS)
    numbers = stored[["seconds", "timed_seconds", "rounds"]].apply(pd.to_numeric, errors="coerce").astype(float)
    stored = stored.assign(**numbers, began_at=pd.to_datetime(stored["began_at"], utc=True))
    return stored.drop_duplicates(SESSION, keep="last").reset_index(drop=True)
