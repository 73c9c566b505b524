"""`gate --self-test`: the gate's false alarms on this machine, and which planted slowdowns it finds.

One revision is built twice. Identical code gives the false alarms, of times and of instructions; plants of known size
(see `plants`) give the share that is found by size; the noise of each row gives its smallest detectable change. The
record is written to `results/<machine>/gate-selftest.json`.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from statistics import median_high
from typing import Any

from reports.gate.bench import SHAPES, Bench, Judged, Plants, busy
from reports.gate.design import Verdict
from reports.gate.outcome import plain
from reports.gate.processes import say
from reports.gate.selftest_instructions import by_instructions
from reports.record.rows import Row

IDENTICAL_ROWS = 210
LOADS = (2, 4)  # busy processes beside the measurement
PLANTED_ROWS = 20  # for which the gate's default budget is meant
SIZES = (0.05, 0.10, 0.20, 0.50)
STRUCTURAL = ("extra pass", "extra copy", "lost fusion")
ROW_BY_ROW = ("rows", "recorded", "instruction_plants")  # too long to print; simulations use `recorded`


def self_test(repository: Path, revision: str, seconds: float) -> Path:
    """Run the self-test, whose timed runs take at most 3.5 times `seconds`; return where its record is written."""
    from lossimpl.machine import name

    with tempfile.TemporaryDirectory(prefix="gate-", ignore_cleanup_errors=True) as folder:
        say("building the revision twice")
        bench = Bench(repository, revision, Path(folder))
        record = measured(bench, seconds)
    path = repository / "results" / name() / "gate-selftest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain(record), indent=1) + "\n")
    print(json.dumps(plain({name: value for name, value in record.items() if name not in ROW_BY_ROW}), indent=1))
    return path


def measured(bench: Bench, seconds: float) -> dict[str, Any]:
    """The record: plain facts, then one table per question."""
    rows = bench.rows()
    few = rows[:PLANTED_ROWS]
    instruction = by_instructions(bench, [row for row in rows if SHAPES[0] in row.params][:IDENTICAL_ROWS])
    say(f"{PLANTED_ROWS} rows with a planted +20 %")
    twenty = bench.judged(few, dict.fromkeys(few, ("busy", 0.2)), seconds)
    say("other sizes, and other ways of computing")
    others = other_plants([row for row in rows if row not in few])
    mixed = bench.judged(others, others, seconds / 2)
    say(f"{IDENTICAL_ROWS} rows of identical code")
    identical = bench.judged(rows[:IDENTICAL_ROWS], {}, seconds)
    flagged = [row for row, one in identical.verdicts.items() if one.verdict in ("slower", "faster")]
    return {
        "commit": bench.commit[:12],
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "budget_seconds": seconds,
        "rows_of_identical_code": len(identical.verdicts),
        "flagged_by_time": len(flagged),
        "flagged_names": ", ".join(map(str, flagged)) or "none",
        "identical_code_seconds": round(identical.seconds),
        "planted_20_percent_seconds": round(twenty.seconds),
        "faults": len(identical.faults) + len(twenty.faults) + len(mixed.faults),
        **instruction,
        "beside_busy_processes": [_beside(bench, few, load, seconds / 4) for load in LOADS],
        "detection": [*detection(twenty, dict.fromkeys(few, ("busy", 0.2))), *detection(mixed, others)],
        "verdicts_on_identical_code": verdict_counts(identical),
        "rows": [_reach(row, one) for row, one in identical.verdicts.items()],
        "recorded": {str(row): [float(f"{one:.5g}") for one in series] for row, series in identical.measured.items()},
    }


def _beside(bench: Bench, rows: list[Row], load: int, seconds: float) -> dict[str, Any]:
    """False alarms, undecided rows and planted +20 % of the same rows beside busy processes."""
    say(f"{len(rows)} rows beside {load} busy processes")
    with busy(load):
        identical = bench.judged(rows, {}, seconds)
        planted = bench.judged(rows, dict.fromkeys(rows, ("busy", 0.2)), seconds)
    verdicts = Counter(one.verdict for one in identical.verdicts.values())
    return {
        "busy_processes": load,
        "rows": len(rows),
        "flagged_identical": verdicts["slower"] + verdicts["faster"],
        "undecided_identical": verdicts["inconclusive"],
        "found_of_20_percent": sum(one.verdict == "slower" for one in planted.verdicts.values()),
        "identical_seconds": round(identical.seconds),
        "planted_seconds": round(planted.seconds),
    }


def other_plants(rows: list[Row]) -> dict[Row, tuple[str, float]]:
    """Five rows per other size, and five `native` rows per structural plant."""
    sizes = [size for size in SIZES if size != 0.2 for _ in range(5)]
    plants: dict[Row, tuple[str, float]] = {row: ("busy", size) for row, size in zip(rows, sizes, strict=False)}
    native = [row for row in rows if row.implementation == "native" and row not in plants and SHAPES[-1] in row.params]
    kinds = [kind for kind in STRUCTURAL for _ in range(5)]
    return plants | {row: (kind, 0.0) for row, kind in zip(native, kinds, strict=False)}


def detection(judged: Judged, plants: Plants) -> list[dict[str, Any]]:
    """How many rows were found by kind and size of their plant, with the measured ratios."""
    table = []
    for kind, size in dict.fromkeys(plants.values()):
        verdicts = [judged.verdicts[row] for row, plant in plants.items() if plant == (kind, size)]
        ratios = sorted(one.estimate.ratio for one in verdicts)
        found = sum(one.verdict == "slower" for one in verdicts)
        table.append(
            {
                "planted": f"+{size:.0%} busy" if kind == "busy" else kind,
                "rows": len(verdicts),
                "found": found,
                "share_found": found / len(verdicts),
                "smallest_ratio_measured": ratios[0],
                "largest_ratio_measured": ratios[-1],
                "median_pairs": median_high(one.pairs for one in verdicts),
            }
        )
    return table


def verdict_counts(judged: Judged) -> list[dict[str, Any]]:
    """How many rows of identical code have which verdict."""
    counts = Counter(one.verdict for one in judged.verdicts.values())
    return [{"verdict": verdict, "rows": rows} for verdict, rows in counts.items()]


def _reach(row: Row, verdict: Verdict) -> dict[str, Any]:
    """A row of identical code: its verdict, and the smallest change that its pairs could have shown."""
    return {
        "row": str(row),
        "verdict": verdict.verdict,
        "ratio": verdict.estimate.ratio,
        "pairs": verdict.pairs,
        "smallest_detectable_ratio": verdict.detectable,
    }
