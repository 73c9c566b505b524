"""Sessions in rounds as a sweep stores them, from a model of times; no number here was measured."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lossimpl.row import Round
from lossimpl.row import Row as Measured
from reports.record.rows import Row
from reports.sweep.store import session_record

Record = dict[str, Any]

CEILINGS = {"memory": 11.7e9, "L3": 60e9, "L2": 180e9}  # bytes/s
BUSY = "other processes took 48% of the processor time"
WIDTH = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}
# Share of the ceiling by mode, and seconds of overhead per call, of each implementation.
SHARES: dict[str, dict[str, float]] = {
    "native": {"forward": 0.85, "reuse": 0.88, "step": 0.86},
    "torch": {"forward": 0.3, "reuse": 0.24, "step": 0.05},
    "compiled": {"forward": 0.5, "reuse": 0.52, "step": 0.11},
    "torch-compiled": {"forward": 0.6, "reuse": 0.61, "step": 0.12},
    "vectorized": {"forward": 0.1, "reuse": 0.06, "step": 0.02},
    "naive": {"forward": 0.004, "reuse": 0.004, "step": 0.004},
}
OVERHEAD = {"native": 24e-6, "torch": 42e-6, "compiled": 110e-6, "torch-compiled": 115e-6}


def elements(row: Row) -> int:
    """Of the row's shape."""
    return math.prod(map(int, str(row.params[1]).split("x")))


def traffic(row: Row) -> int:
    """The bytes that the row's case must move."""
    return elements(row) * WIDTH[row.params[2]] * (4 if row.params[4] != "forward" else 2)


def level(row: Row) -> str:
    """Where they fit."""
    return "L2" if traffic(row) < 2e6 else "L3" if traffic(row) < 3e7 else "memory"


def model(row: Row) -> float:
    """Seconds per call: an overhead, and the traffic at a share of the ceiling, both a little different by loss."""
    own = 0.7 + 0.6 * random.Random(f"{row.stem} {row.implementation}").random()
    share = min(0.97, SHARES.get(row.implementation, SHARES["torch"]).get(row.params[4], 0.2) * own)
    return OVERHEAD.get(row.implementation, 150e-6) * own + traffic(row) / CEILINGS[level(row)] / share


def record(row: Row, session: str, seconds: Iterable[float], busy: Iterable[int] = (), **changes: Any) -> Record:
    """The record of a row whose rounds took `seconds`; those numbered in `busy` were disturbed."""
    lines = [_round(row, session, number, time, number in set(busy)) for number, time in enumerate(seconds, start=1)]
    return session_record([{**one, **changes} for one in lines], session) if lines else _failed(row, session, changes)


def _failed(row: Row, session: str, changes: Mapping[str, Any]) -> Record:
    started = "2026-11-27T10:00:00+00:00"
    return row.record | {"session": session, "started_at": started, "status": "error", "reason": "", **changes}


def _round(row: Row, session: str, number: int, seconds: float, disturbed: bool) -> Record:
    mode = row.params[4]
    chance = random.Random(f"{row.stem} {row.params[1:]} {session} {number}")
    made = Round(
        number=number,
        position=1,
        seconds=seconds,
        samples=tuple(seconds * factor for factor in (1.01, 1.0, 0.995)),
        calls=3,
        stop="precise",
        precision=0.01,
        warmup_seconds=0.01,
        first_call_seconds=0.2,
        busy=BUSY if disturbed else "",
        ceiling=CEILINGS[level(row)] * math.exp(0.02 * chance.gauss(0, 1)),
        started_at=f"2026-11-27T10:{number:02}:00+00:00",
    )
    ulp = 0.5 + random.Random(str(row)).random()
    measured = Measured(
        loss=row.stem,
        **dict(zip(("implementation", "shape", "dtype", "device", "mode"), row.params, strict=True)),
        options={},
        maker="normal",
        seed=0,
        rounds=(made,),
        threads=2,
        protocol="warm cache; results and gradients allocated afresh in every call",
        agreement=_agreement(ulp, mode),
        checked_shape=str(row.params[1]),
        traffic=traffic(row),
        ceiling_name="read" if mode == "forward" else "copy",
        level=level(row),
        peak_bytes=3 * elements(row) * 4,
        saved_bytes=elements(row) * 4,
        manifest="manifest-of-sessions",
        session=session,
        started_at=f"2026-11-27T10:{number:02}:00+00:00",
    )
    return {"benchmark": row.benchmark, "params": row.texts} | asdict(measured)


def _agreement(ulp: float, mode: str) -> Record:
    grad = {} if mode == "forward" else {"grad_max_rel": ulp * 2e-7, "grad_mean_rel": 1e-8, "grad_ulp": 2 * ulp}
    value = {"value_max_rel": ulp * 1e-7, "value_mean_rel": ulp * 4e-8, "value_ulp": ulp}
    return {
        "grad_max_rel": None,
        "grad_mean_rel": None,
        "grad_ulp": None,
        **value,
        **grad,
        "verdict": "ok",
        "reason": "",
    }


def times(
    row: Row, session: str, rounds: int = 5, noise: float = 0.02, base: Callable[[Row], float] = model
) -> list[float]:
    """The seconds of each round: what a round does to all of a case, and a third of that to each implementation."""
    found = []
    for number in range(1, rounds + 1):
        shared = random.Random(f"{row.stem} {row.params[1:]} {session} {number}").gauss(0, 1)
        own = random.Random(f"{row} {session} {number}").gauss(0, 1)
        found.append(base(row) * math.exp(noise * (shared + own / 3)))
    return found


def write(
    folder: Path,
    records: Iterable[Record],
    session: str,
    machine: str = "synthetic-machine",
    commit: str = "c" * 40,
    env: str = "virtualenv-py3.11-torch9.9.9",
    grid: str = "quick",
    began_at: str = "2026-11-27T10:00:00+00:00",
    count: int = 5,
) -> Path:
    """Append a session to the side-cars of a machine, as `reports.sweep.store.Store.save` does; return the folder."""
    stem = folder / machine / f"{commit[:8]}-{env}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    about = {"grid": grid, "commit": commit, "began_at": began_at, "seconds": 200.0, "timed_seconds": 130.0}
    _append(Path(f"{stem}.rows.jsonl"), [one | {"started_at": began_at} for one in records])
    _append(Path(f"{stem}.sessions.jsonl"), [{"session": session, **about, "rounds": count}])
    return folder


def _append(path: Path, records: Iterable[Record]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(one) + "\n" for one in records)


def selftest(folder: Path, machine: str = "synthetic-machine") -> None:
    """What the self-test of the sessions stores."""
    record = {
        "machine": machine,
        "sessions": ["20261127T100000-aaaa", "20261127T140000-bbbb", "20261127T190000-cccc"],
        "coverage": {
            "ratio": {"rows": 200, "covered": 192},
            "share": {"rows": 300, "covered": 276},
            "time": {"rows": 300, "covered": 264},
        },
        "between_share": 0.41,
        "rounds": 5,
        "recommended_rounds": 9,
        "smallest_difference": {"ratio": 0.05, "share": 0.07, "time": 0.12},
        "drift": 0.034,
        "identical_series": {"rows": 123, "flagged": 1},
    }
    (folder / machine / "sweep-selftest.json").write_text(json.dumps(record))
