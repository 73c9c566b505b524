"""Synthetic results, written by asv's own classes; no number here was measured."""

from __future__ import annotations

import json
import math
import random
from itertools import product
from pathlib import Path
from typing import Any

from asv.machine import Machine
from asv.results import Results
from asv.runner import BenchmarkResult

from lossimpl.spec import Loss
from reports.sweep.store import pack

MACHINE, ENV = "synthetic-machine", "virtualenv-py3.11-torch9.9.9"
COMMITS = ("a" * 40, "b" * 40)
SHAPES = {"cross_entropy": ("32x10", "512x32000"), "mse_loss": ("32x10", "16777216")}
SPEED = {"naive": 0.002, "vectorized": 0.3, "compiled": 0.7, "torch": 0.4, "native": 0.8}  # share of the ceiling
DTYPES, DEVICES, MODES = ("float32", "bfloat16"), ("cpu",), ("forward", "step")
CEILING, OVERHEAD = 10e9, 4e-6
CLASSES = {"cross_entropy": "CrossEntropy", "mse_loss": "MSELoss"}

BUSY = "other processes took 60% of the processor time"
FORMULA = "ℓ(x, y) = −w_y |x|^γ;  x < y"

Record = dict[str, Any]


def losses() -> dict[str, Loss]:
    """Two measured losses and one without results; nothing here imports torch."""
    names = (*SHAPES, "huber_loss")
    return {name: Loss(name, FORMULA, "Nobody, 1900", (), (), {}, len, len, lambda case: 4_000_000) for name in names}


def write(
    folder: Path,
    commits: tuple[str, ...] = COMMITS,
    dtypes: tuple[str, ...] = DTYPES,
    losses: tuple[str, ...] = tuple(SHAPES),
    changed_at: int = 1,
    days: int = 1,
) -> Path:
    """A results folder with `commits`, newest last, `days` apart; torch is slower from the one at `changed_at` on."""
    for number, commit in enumerate(commits):
        place = number * days
        stem = f"{commit[:8]}-{ENV}"
        results = Results({"machine": MACHINE}, {}, commit, 1_700_000_000_000 + place * 86_400_000, "3.11", ENV, {})
        rows: list[Record] = []
        for loss in losses:
            rows += _add_loss(results, loss, dtypes, place, number >= changed_at)
        results.save(str(folder))
        _lines(folder / MACHINE / f"{stem}.rows.jsonl", rows + loading_rows(place))
        _lines(folder / MACHINE / f"{stem}.sessions.jsonl", [session(place, commit)])
        _lines(folder / MACHINE / f"{stem}.manifest.jsonl", [manifest(place)])
    (folder / MACHINE / "machine.json").write_text(json.dumps({"version": 1, **_machine()}))
    return folder


def _machine() -> Record:
    machine = Machine.get_defaults()
    return {**machine, "machine": MACHINE, "cpu": "Synthetic CPU", "num_cpu": "2", "os": "Linux 0.0", "ram": "8 GB"}


def _lines(path: Path, records: list[Record]) -> None:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))


def _add_loss(results: Results, loss: str, dtypes: tuple[str, ...], place: int, slower: bool) -> list[Record]:
    axes = (tuple(SPEED), SHAPES[loss], dtypes, DEVICES, MODES)
    params = [[repr(value) for value in axis] for axis in axes]
    name = f"{loss}.{CLASSES[loss]}.track_seconds"
    rows = [_row(name, loss, values, place, slower) for values in product(*axes)]
    values = [{"ok": 0.0, "unavailable": math.nan}.get(row["status"]) for row in rows]
    samples = [[one["seconds"] for one in row["rounds"]] or None for row in rows]
    numbers = [1 if row["rounds"] else None for row in rows]
    benchmark = {"name": name, "version": "1", "params": params}
    results.add_result(benchmark, BenchmarkResult(values, samples, numbers, 0, "", None), record_samples=True)
    return rows


def _row(name: str, loss: str, values: tuple[str, ...], place: int, slower: bool) -> Record:
    implementation, shape, dtype, _, mode = values
    status, reason = _status(loss, implementation, dtype, mode)
    elements = math.prod(map(int, shape.split("x")))
    traffic = elements * (4 if dtype == "float32" else 2) * (2 if mode == "step" else 1)
    chance = random.Random(f"{name}{values}{place}")
    share = SPEED[implementation]
    change = 1.3 if slower and implementation == "torch" else 1.0
    center = OVERHEAD / (share + 0.1) + traffic / CEILING / share * change
    seconds = [center * (1 + 0.02 * chance.random()) for _ in range(5)] if status in ("ok", "disturbed") else []
    ulp = {"naive": 0.5, "torch": 1.5}.get(implementation, 0.5 + chance.random())
    wrong = (5e4, reason) if status == "wrong" else (ulp, "")
    return {
        "benchmark": name,
        "params": [repr(value) for value in values],
        **dict(zip(("implementation", "shape", "dtype", "device", "mode"), values, strict=True)),
        "rounds": [_round(number, one, status) for number, one in enumerate(seconds, start=1)],
        "ceiling_name": "copy" if mode == "step" else "read",
        "threads": 2,
        "format": 2,
        "session": session(place)["session"],
        "loss": loss,
        "status": status,
        "reason": reason,
        "agreement": None if status == "unavailable" else _agreement(*wrong),
        "traffic": traffic,
        "level": "memory" if elements > 1e6 else "L2",
        "peak_bytes": 3 * traffic,
        "saved_bytes": 0 if implementation == "native" else traffic,
        "manifest": f"manifest{place}",
        "started_at": 1_700_000_000 + place * 86_400,
    }


def session(place: int, commit: str = "") -> Record:
    """What the session of a commit wrote about itself."""
    about = {"grid": "quick", "commit": commit, "seconds": 200.0, "timed_seconds": 130.0, "rounds": 100}
    return {"session": f"session{place}", "began_at": 1_700_000_000 + place * 86_400, **about}


def _round(number: int, seconds: float, status: str) -> Record:
    busy = BUSY if status == "disturbed" and number < 4 else ""
    return {"number": number, "position": 1, "seconds": seconds, "calls": 3, "busy": busy, "ceiling": CEILING}


def of_one_process(record: Record) -> Record:
    """The row as the old protocol would have stored it: samples of one process, and no session."""
    old = {key: value for key, value in record.items() if key not in ("rounds", "session", "format")}
    samples = [one["seconds"] for one in record["rounds"]]
    return old | {"samples": [*samples, *samples], "number": 3, "stop": "precision reached", "ceiling": CEILING}


def _agreement(ulp: float, reason: str) -> Record:
    relative = {
        "value_max_rel": ulp * 1e-7,
        "value_mean_rel": ulp * 4e-8,
        "grad_max_rel": ulp * 3e-7,
        "grad_mean_rel": 1e-8,
    }
    return {**relative, "value_ulp": ulp, "grad_ulp": 2 * ulp, "verdict": "wrong" if reason else "ok", "reason": reason}


def _status(loss: str, implementation: str, dtype: str, mode: str) -> tuple[str, str]:
    if (implementation, dtype) == ("compiled", "bfloat16"):
        return "unavailable", "no compiler on this synthetic machine"
    if (loss, implementation, dtype) == ("mse_loss", "vectorized", "bfloat16"):
        return "wrong", "value is 50000 ULP from the oracle, allowed are 4"
    if (implementation, mode) == ("naive", "step"):
        return "disturbed", f"3 of 5 rounds were disturbed, the first because {BUSY}"
    return "ok", ""


def manifest(place: int) -> Record:
    packages = {"torch": f"9.9.{8 + place}", "numpy": "2.0.0"}
    return {
        "id": f"manifest{place}",
        "revision": COMMITS[place % 2][:12],
        "packages": packages,
        "cpu": {"model": "Synthetic CPU"},
    }


def loading_rows(place: int) -> list[Record]:
    """Four configurations of one dataset: two tied, one slower, one with wrong data."""
    rates = {(0, False): 700.0, (1, False): 1000.0, (2, False): 1010.0, (2, True): 1500.0}
    return [_loading_row(workers, persistent, rate, place) for (workers, persistent), rate in rates.items()]


def _loading_row(workers: int, persistent: bool, rate: float, place: int) -> Record:
    settings = {"num_workers": workers, "batch_size": 16, "pin_memory": False, "persistent_workers": persistent}
    return {
        "benchmark": "loading.Loading.track_seconds_per_sample",
        "params": ["'photographs'", repr(workers), repr(persistent), "16"],
        "scenario": settings,
        "dataset": "photographs",
        "status": "wrong-data" if persistent else "ok",
        "reason": "other augmentation" if persistent else "",
        "samples_per_second": [rate * factor for factor in (0.98, 0.99, 1.0, 1.01, 1.02, 1.0, 0.995)],
        "first_batch_seconds": 0.05 + 0.1 * workers,
        "stall_fraction": 0.4 / (1 + workers),
        "pss_bytes": (200 + 90 * workers) * 2**20,
        "attribution": {"dataset": 0.02, "transform": 0.003, "collate": 0.001, "between": 0.002, "pin": None},
        "verdict": "same order, other augmentation" if persistent else "bitwise same",
        "started_at": 1_700_000_100 + place * 86_400,
    }


def conformance(folder: Path) -> None:
    """A conformance side-car with every status."""
    common = {"loss": "cross_entropy", "device": "cpu", "dtype": "float32", "source": "closed form: log(1 + e)"}
    infinite = {**common, "case": "minus infinity", "input": "[-inf, 0, 1], target 1", "expected": "1.31326"}
    empty = {**common, "case": "empty batch", "input": "shape (0, 3)", "expected": "nan"}
    rows = [
        {**infinite, "implementation": "native", "status": "pass", "got": "1.31326", "reason": ""},
        {**infinite, "implementation": "torch", "status": "fail", "got": "nan", "reason": "value is nan"},
        {**empty, "implementation": "native", "status": "error", "got": "", "reason": "RuntimeError: no"},
        {**empty, "implementation": "torch", "status": "unavailable", "got": "", "reason": "not here"},
    ]
    path = folder / MACHINE / f"{COMMITS[-1][:8]}-{ENV}.conformance.jsonl"
    _lines(path, rows)
    pack(path)


def loaders(folder: Path) -> None:
    """What `lossimpl loaders` stores: a measurement, an argument's effect, a summary."""
    settings = {"num_workers": 2, "batch_size": 32, "shuffle": True}
    argument = {"kind": "argument", "dataset": "digits", "scenario": settings, "argument": "in_order", "status": "ok"}
    rate = {"epoch_rate": 5000.0, "epoch_rate_low": 4900.0, "epoch_rate_high": 5100.0}
    tried = {"kind": "measurement", "dataset": "digits", "scenario": settings, "status": "ok", "budget": 2.0, **rate}
    rows = [
        tried,
        {**argument, "verdict": "unstable from run to run", "advice": "leave in_order at True"},
        {
            **{"kind": "summary", "dataset": "digits", "sentence": "DataLoader(num_workers=2): 5,000 samples/s"},
            **{
                "call": "DataLoader(\n    dataset,\n    num_workers=2,\n)",
                "lines": ["Still data-bound: 40 % of the time"],
            },
            "tried": [{**tried, "verdict": "bitwise same"}],
        },
    ]
    _lines(folder / MACHINE / f"{COMMITS[-1][:8]}-{ENV}.loaders.jsonl", rows)


def selftest(folder: Path) -> None:
    """What the gate's self-test stores."""
    detection = [{"planted": "+20% busy", "rows": 20, "found": 19, "share_found": 0.95, "median_pairs": 22}]
    record = {"commit": COMMITS[-1][:12], "rows_of_identical_code": 210, "flagged_by_time": 1, "detection": detection}
    (folder / MACHINE / "gate-selftest.json").write_text(json.dumps(record))
