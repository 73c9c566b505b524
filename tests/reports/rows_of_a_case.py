"""Rows of one case written out by hand, for tests of ranks, ratios and answers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lossimpl.ranking import over_rounds
from reports.record.frames import COLUMNS
from reports.statistics import roofline
from reports.statistics.ranking import Ranking, rankings

EVEN = (1.0, 1.01, 1 / 1.01, 1.0, 1.0)  # the rounds of a row over its time; its interval is a percent to each side


def row(implementation: str, seconds: float, rounds: tuple[float, ...] = EVEN, **changes: Any) -> dict[str, Any]:
    """A correct row of a million elements, 8 MB and a ceiling of 16 GB/s; `changes` replace its fields."""
    times = {number: seconds * factor for number, factor in enumerate(rounds, start=1)}
    time = over_rounds([*times.values()]) if times else (None, None, None)
    return {
        **{"machine": "m", "env": "e", "commit": "c", "session": "s", "benchmark": "mse_loss.MseLoss.track_seconds"},
        **{"loss": "mse_loss", "implementation": implementation, "shape": "1000x1000", "dtype": "float32"},
        **{"device": "cpu", "mode": "step", "status": "ok", "times": times},
        **dict(zip(("value", "low", "high"), time, strict=True)),
        **{"traffic": 8e6, "ceiling": 16e9, "ceiling_name": "copy", "ceilings": dict.fromkeys(times, 16e9)},
        **{"level": "memory", "value_max_rel": 1e-7, "grad_max_rel": 2e-7, "value_ulp": 1.0, "verdict": "ok"},
        **{"started_at": pd.Timestamp(0, tz="UTC"), "date": pd.Timestamp(0, tz="UTC")},
        **changes,
    }


def disturbed(implementation: str, seconds: float, **changes: Any) -> dict[str, Any]:
    """A row that other processes disturbed: a time without an interval."""
    reason = "3 of 5 rounds were disturbed"
    return row(
        implementation, seconds, **{"status": "disturbed", "low": None, "high": None, "reason": reason} | changes
    )


def of_one_process(implementation: str, seconds: float, **changes: Any) -> dict[str, Any]:
    """A row of the old protocol: samples, no rounds, no session."""
    old = {"session": "", "times": None, "ceilings": None, "low": None, "high": None, "samples": (seconds,) * 7}
    return row(implementation, seconds, **old | changes)


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """The rows as the reader and `Material` give them."""
    params = [tuple(one[name] for name in ("implementation", "shape", "dtype", "device", "mode")) for one in rows]
    return roofline.with_rates(pd.DataFrame(rows).assign(params=params).reindex(columns=COLUMNS).infer_objects())


def ranked(*rows: dict[str, Any]) -> Ranking:
    """The ranking of the only case of the rows."""
    (found,) = rankings(frame(*rows))
    return found
