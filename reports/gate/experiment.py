"""Planted changes through the gate's own command: what it finds, how often, and beside how many busy processes.

    python -m reports.gate.experiment results.jsonl --minutes 10 --loads 0,2,4 --runs 20
    python -m reports.gate.experiment results.jsonl --table

Each run commits one change to a clone of the repository and runs `python -m reports gate` on it. A run is a line of the
file, so that the experiment goes on where it was stopped; it starts no run after `--minutes`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from lossimpl.building import run
from lossimpl.measure import wall
from reports.gate.bench import busy
from reports.gate.outcome import FINE, REGRESSION, UNMEASURED
from reports.gate.processes import say

MSE, DIGITS = "lossimpl/losses/mse_loss.py", "lossimpl/loading/datasets/digits.py"
KERNELS = "lossimpl/kernels/cpp/csrc/elementwise_run.h"
VECTORIZED = "    return reduce_weighted((x - y).square(), weight, reduction, dtype)"
SLOWER = """    import time

    started = time.perf_counter()
    result = reduce_weighted((x - y).square(), weight, reduction, dtype)
    end = time.perf_counter() + 0.2 * (time.perf_counter() - started)
    while time.perf_counter() < end:
        pass
    return result"""
REFACTORED = """    return reduce_weighted(_square(x, y), weight, reduction, dtype)


def _square(one: Tensor, other: Tensor) -> Tensor:
    \"\"\"The squared difference.\"\"\"
    difference = one - other
    return difference.square()"""


@dataclass(frozen=True)
class Plant:
    """A change of one file, and the exit code that the gate owes it; `old` is replaced by `new`."""

    name: str
    path: str
    old: str
    new: str
    expected: int = REGRESSION


PLANTS = (
    Plant("extra pass in a C++ kernel", KERNELS, "                         n >= kBf16Values};",
          "                         n >= kBf16Values};\n"
          "  if (p.loss == PairLoss::mse) scale += 0 * kernels().sum(a.dtype, x.const_data_ptr(), 0, n);"),
    Plant("+20 % time", MSE, VECTORIZED, SLOWER),
    Plant("+3 % instructions", MSE, VECTORIZED, f"    any((None,) * 500)\n{VECTORIZED}"),
    Plant("error 1e-7 to 1e-4", MSE, VECTORIZED, f"{VECTORIZED} * (1 + 1e-4)"),
    Plant("error of 10 units in the last place", MSE, VECTORIZED, f"{VECTORIZED} * (1 + 1.2e-6)"),
    Plant("one more saved tensor", MSE, VECTORIZED, VECTORIZED.replace("(x - y).square()", "(x - y) * (x - y)")),
    Plant("slower loader", DIGITS, "        return torch.from_numpy(self.images[index])",
          "        __import__('time').sleep(2e-4)\n        return torch.from_numpy(self.images[index])"),
    Plant("comment", MSE, VECTORIZED, f"    # the sum of squares\n{VECTORIZED}", FINE),
    Plant("comment in C++", KERNELS, "#pragma once", "// One more comment.\n#pragma once", FINE),
    Plant("documentation", "README.md", "## Install", "## Installation", FINE),
    Plant("refactoring", MSE, VECTORIZED, REFACTORED, FINE),
    Plant("does not import", MSE, "from torch import Tensor", "import no_such_module as Tensor", UNMEASURED),
    Plant("does not parse", MSE, "def vectorized(", "def vectorized)(", UNMEASURED),
    Plant("does not compile", KERNELS, "#pragma once", "#pragma once\nint broken = ;", UNMEASURED),
    Plant("native rows removed", "benchmarks/mse_loss.py", '"native", ', "", UNMEASURED),
)  # fmt: skip


def experiment(
    results: Annotated[Path, typer.Argument(help="File of JSON lines, one per run.")],
    minutes: Annotated[float, typer.Option(help="No run is started later than this.")] = 10.0,
    loads: Annotated[str, typer.Option(help="Busy processes beside the gate, such as 0,2,4.")] = "0,2,4",
    runs: Annotated[int, typer.Option(help="Runs of each plant at each load.")] = 20,
    only: Annotated[str, typer.Option(help="A part of the name of the plants to run.")] = "",
    budget: Annotated[str, typer.Option(help="The gate's budget.")] = "15m",
    table: Annotated[bool, typer.Option("--table", help="Only print the table of the runs so far.")] = False,
) -> None:
    """Run planted changes through the gate, as far as the time goes, and print the table."""
    started = wall.now()
    for plant, load in _missing(results, [int(one) for one in loads.split(",")], runs, only):
        if table or wall.now() - started > 60 * minutes:
            break
        say(f"{plant.name}, {load} busy processes")
        with results.open("a") as file:
            file.write(json.dumps(_run(plant, load, budget)) + "\n")
    print(summary(_read(results)))


def _read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def _missing(results: Path, loads: list[int], runs: int, only: str) -> Iterator[tuple[Plant, int]]:
    """What has not been run yet, first every plant once, then every plant twice, and so on."""
    done = [(one["plant"], one["load"]) for one in _read(results)]
    for number in range(1, runs + 1):
        for load in loads:
            for plant in PLANTS:
                if only in plant.name and done.count((plant.name, load)) < number:
                    yield plant, load


def _run(plant: Plant, load: int, budget: str) -> dict[str, Any]:
    """One run: its exit code, its coverage, and its duration."""
    with tempfile.TemporaryDirectory(prefix="experiment-") as folder, busy(load):
        clone, report = Path(folder, "clone"), Path(folder, "gate.json")
        commit(plant, clone)
        command = [
            sys.executable,
            "-m",
            "reports",
            "gate",
            "--base",
            "HEAD~1",
            "--budget",
            budget,
            "--json",
            str(report),
        ]
        started = wall.now()
        done = subprocess.run(
            command, cwd=clone, env=os.environ | {"PYTHONPATH": str(Path.cwd())}, capture_output=True, text=True
        )
        outcome = json.loads(report.read_text()) if report.exists() else {"groups": [], "faults": [], "removed": []}
    return {
        "plant": plant.name,
        "load": load,
        "exit": done.returncode,
        "expected": plant.expected,
        "seconds": round(wall.now() - started),
        "build_seconds": round(outcome.get("build_seconds") or 0),
        "groups": len(outcome["groups"]),
        "decided": sum(bool(group["decided"]) for group in outcome["groups"]),
        "reachable": outcome.get("reachable"),
        "first": next(
            (fault["text"].splitlines()[0] for fault in outcome["faults"]), next(iter(outcome["removed"]), "")
        ),
        "errors": done.stderr.splitlines()[-1:] if done.returncode not in (0, 1, 2, 3) else [],
    }


def commit(plant: Plant, clone: Path) -> None:
    """Clone the repository of the current folder, and commit the planted change there."""
    run(["git", "clone", "--quiet", str(Path.cwd()), str(clone)], Path.cwd())
    text = (clone / plant.path).read_text()
    if plant.old not in text:
        raise ValueError(f"{plant.path} has no {plant.old!r} for {plant.name!r}: adapt PLANTS")
    (clone / plant.path).write_text(text.replace(plant.old, plant.new, 1))
    identity = ["-c", "user.name=experiment", "-c", "user.email=experiment@example.org"]
    run(["git", *identity, "commit", "--quiet", "--all", "-m", plant.name], clone)


def summary(runs: list[dict[str, Any]]) -> str:
    """The table in Markdown: per plant and load, runs with the expected exit code, coverage and duration."""
    lines = [
        "| planted | busy processes | as expected | exit codes | groups decided | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for plant, load in sorted({(one["plant"], one["load"]) for one in runs}):
        found = [one for one in runs if (one["plant"], one["load"]) == (plant, load)]
        right = sum(one["exit"] == one["expected"] for one in found)
        groups, decided = (sum(one[name] for one in found) for name in ("groups", "decided"))
        share = f"{decided / groups:.0%}" if groups else "none in reach"
        codes = " ".join(str(one["exit"]) for one in found)
        seconds = sorted(one["seconds"] for one in found)
        lines.append(
            f"| {plant} | {load} | {right} of {len(found)} | {codes} | {share} | {seconds[0]} to {seconds[-1]} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(experiment)
