"""How every benchmark of a loss measures, reports to asv, and keeps the rest of its row in a side-car.

asv stores samples only, so each row is written whole to the file that `LOSSIMPL_ROWS` names (one JSON object per
line), and its environment into the `.manifest.jsonl` beside it. A row measured since `LOSSIMPL_RESUME` (a
time as in `started_at`) is taken from there instead of being measured again: so an interrupted sweep goes on.
`LOSSIMPL_SECONDS` caps what a row may take.

Each row is forked from asv's fork server, which imports this once. Nothing here may run a torch operation or touch CUDA
at import, because threads do not survive a fork.
"""

import gc
import importlib
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from asv_runner.benchmarks.mark import SkipNotImplemented

from lossimpl import environment, registry
from lossimpl.measure.clock import Rule

from .calls import case_of

try:
    from lossimpl import row
except ImportError:  # commits before it left `measure`
    from lossimpl.measure import row


def import_compiler() -> None:
    """What every row of torch.compile imports, kept from looking for a GPU as torch 2.11 does there.

    A process that has asked the driver for its devices cannot use them after a fork, so no row could run on CUDA.
    """
    import torch

    asked, torch.cuda.is_available = torch.cuda.is_available, lambda: False
    try:
        importlib.import_module("torch._inductor.compile_fx")
    finally:
        torch.cuda.is_available = asked


if "ASV" in os.environ:  # set by asv: its fork server pays for these imports once
    import_compiler()

gc.freeze()  # imported objects live as long as the process: the collector of a forked row need not touch their pages

PARAM_NAMES = ("implementation", "shape", "dtype", "device", "mode")


def track(loss: str, *params: str) -> dict[str, object]:
    """Measure one row, or find it, and return what asv stores: samples in seconds per call, and calls per sample.

    Unavailable is a skip. Wrong, impossible and broken are failures, and their rows are kept like all others.
    """
    record = find(name_of(loss), params) or keep(measure(loss, *params))
    if record["status"] == "unavailable":
        raise SkipNotImplemented(record["reason"])
    if record["status"] != "ok":
        raise RuntimeError(f"{record['status']}: {record['reason']}")
    return {"samples": list(record["samples"]), "number": record["number"]}


def measure(loss: str, implementation: str, shape: str, dtype: str, device: str, mode: str) -> dict[str, object]:
    """The record of one row, measured now."""
    params = (implementation, shape, dtype, device, mode)
    head = started(name_of(loss), params)
    if implementation not in registry.get(loss).implementations:
        named = {"loss": loss, **dict(zip(PARAM_NAMES, params, strict=True))}
        return head | named | {"status": "unavailable", "reason": "this version or this machine lacks it"}
    rule = Rule(max_seconds=float(os.environ.get("LOSSIMPL_SECONDS", "1")))
    return head | asdict(row.measure(case_of(loss, shape, dtype, device, mode), implementation, rule))


def started(benchmark: str, params: tuple[object, ...]) -> dict[str, object]:
    """The fields that say which row this is, where it is measured and when it was begun."""
    return {
        "benchmark": benchmark,
        "params": texts(params),
        "manifest": environment.manifest()["id"],
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def name_of(loss: str) -> str:
    """asv's name of the benchmark of a loss: `cross_entropy.CrossEntropy.track_seconds`."""
    return f"{loss}.{loss.title().replace('_', '')}.track_seconds"


def texts(params: tuple[object, ...]) -> list[str]:
    """Parameters as asv writes them."""
    return [repr(value) for value in params]


def keep(record: dict[str, object]) -> dict[str, object]:
    """Append the record to the side-car, after its manifest if that is new there, and return the record."""
    path = os.environ.get("LOSSIMPL_ROWS")
    if path:
        manifests = Path(path.replace(".rows.jsonl", ".manifest.jsonl"))
        if all(known["id"] != record["manifest"] for known in lines(manifests)):
            append(manifests, environment.manifest())
        append(Path(path), record)
    return record


def find(benchmark: str, params: tuple[object, ...]) -> dict[str, object] | None:
    """The row that this sweep measured before it was interrupted, or None."""
    since = os.environ.get("LOSSIMPL_RESUME")
    if not since:
        return None
    wanted = (benchmark, texts(params))
    rows = lines(Path(os.environ["LOSSIMPL_ROWS"]))
    return next((r for r in rows if (r["benchmark"], r["params"]) == wanted and r["started_at"] >= since), None)


def append(path: Path, record: dict[str, object]) -> None:
    """Write one line at once, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def lines(path: Path) -> list[dict[str, object]]:
    """The objects of a file of JSON lines; none where there is no file. A line cut short by a crash is skipped."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found
