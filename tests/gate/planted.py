"""Results with planted changes, as asv writes them: three implementations of one benchmark, one commit a day."""

import json

from asv.results import Results
from asv.runner import BenchmarkResult

BENCHMARK = "mse_loss.MseLoss.track_seconds"
ROWS = ("'native'", "'torch'", "'vectorized'")
DAY = 86_400_000  # milliseconds, in which asv counts


def measure(root, commits, night, seconds, machine="bench", torch="2.13.0", record=None):
    """Write what asv writes for one commit: three samples per row, by asv's own class; optionally a side-car."""
    env = f"shared-py3.11-torch{torch}"
    results = Results(
        {"machine": machine, "python": "3.11", "torch": torch},
        {"torch": torch},
        commits[night],
        DAY * (20_000 + night),
        "3.11",
        env,
        {},
    )
    benchmark = {"name": BENCHMARK, "version": "1", "params": [list(ROWS)]}
    samples = [[value * factor for factor in (0.99, 1.0, 1.01)] for value in seconds]
    values = [BenchmarkResult(list(seconds), samples, [1] * len(ROWS), 0, "", None)]
    results.add_result(benchmark, values[0], record_samples=True)
    folder = root / "results"
    results.save(str(folder))
    (folder / machine / "machine.json").write_text(json.dumps({"machine": machine, "version": 1}))
    if record:
        line = {"benchmark": BENCHMARK, "params": ["'native'"], "status": "ok", "samples": samples[0], **record(night)}
        side_car = folder / machine / f"{commits[night][:8]}-{env}.rows.jsonl"
        side_car.write_text(json.dumps(line) + "\n")
