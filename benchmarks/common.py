"""How every benchmark of a loss measures, reports to asv, and keeps the rest of its rows in a side-car.

asv stores samples only, so each row is written whole to the file that `LOSSIMPL_ROWS` names (one JSON object per line),
and its environment to the `.manifest.jsonl` beside it.

A sweep asks for a round: `LOSSIMPL_ROUND` names a file of JSON with the `seconds` for each implementation and the
`cases` to measure one after the other in this process. A case has its `mode`, the round's `number`, the
`implementations` that take turns, and those already `checked`. Without the file, as under a bare `asv run`, the row is
timed alone for `LOSSIMPL_SECONDS`.

Each process is forked from asv's fork server, which imports this once. Threads do not survive a fork, and a process
that has asked the CUDA driver for its devices cannot use them after one: so importing this starts neither.
"""

import gc
import importlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from asv_runner.benchmarks.mark import SkipNotImplemented

from lossimpl import environment, registry
from lossimpl.measure.clock import Rule

from .calls import case_of

try:
    from lossimpl import rounds
except ImportError:  # a commit before there were rounds: its rows are measured one by one
    rounds = None
    try:
        from lossimpl import row as single
    except ImportError:
        from lossimpl.measure import row as single


def import_compiler() -> None:
    """Import what torch.compile needs and compile once, on one thread, which later compiles in each fork profit from.

    torch 2.11 looks for a GPU during the import, which is suppressed.
    """
    import torch

    asked, torch.cuda.is_available = torch.cuda.is_available, lambda: False
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        importlib.import_module("torch._inductor.compile_fx")
        torch.compile(lambda x: (x * 2 + x.exp()).mean())(torch.ones(4, requires_grad=True)).backward()
        torch.compiler.reset()
    finally:
        torch.cuda.is_available = asked
        torch.set_num_threads(threads)


if "ASV" in os.environ:  # set by asv: its fork server pays for this once
    import_compiler()
    with suppress(Exception):  # its rows say why; to register kernels, torch looks at all modules
        registry.get("mse_loss").implementations["native"].load("cpu")

gc.freeze()  # imported objects live as long as the process: the collector of a forked row need not touch their pages

PARAM_NAMES = ("implementation", "shape", "dtype", "device", "mode")


def track(loss: str, *params: str) -> dict[str, object]:
    """Measure the row, or the round that it belongs to, and return what asv stores of the row.

    That is its samples in seconds per call, and calls per sample. Unavailable is a skip. Wrong, impossible and failed
    rows are failures for asv, and are kept like all others.
    """
    implementation, shape, dtype, device, mode = params
    plan = json.loads(Path(os.environ["LOSSIMPL_ROUND"]).read_text()) if "LOSSIMPL_ROUND" in os.environ else {}
    records = {}
    for case in plan.get("cases", [{"mode": mode, "implementations": [implementation]}]):
        for record in measure(loss, (shape, dtype, device, case["mode"]), case, plan.get("seconds")):
            records[tuple(record["params"])] = keep(record)
    record = records[tuple(texts(params))]
    if record["status"] == "unavailable":
        raise SkipNotImplemented(record["reason"])
    if record["status"] != "ok":
        raise RuntimeError(f"{record['status']}: {record['reason']}")
    measured = record["rounds"][0] if "rounds" in record else record | {"calls": record["number"]}
    return {"samples": list(measured["samples"]), "number": measured["calls"]}


def measure(
    loss: str, params: tuple[str, ...], planned: dict[str, object], seconds: float | None
) -> list[dict[str, object]]:
    """The records of a round of the case that `params` name, or of one row alone if there are no `seconds`."""
    names = planned["implementations"]
    existing = registry.get(loss).implementations
    heads = {name: started(name_of(loss), (name, *params)) for name in names}
    known = [name for name in names if name in existing]
    found = [asdict(row) for row in timed(case_of(loss, *params), known, planned, seconds)]
    for name in names:
        if name not in existing:
            named = {"loss": loss, **dict(zip(PARAM_NAMES, (name, *params), strict=True))}
            found.append(named | {"status": "unavailable", "reason": "this version or this machine lacks it"})
    return [heads[record["implementation"]] | record for record in found]


def timed(case: object, names: list[str], planned: dict[str, object], seconds: float | None) -> list[object]:
    """The rows of the implementations that exist."""
    rule = Rule(max_seconds=seconds or float(os.environ.get("LOSSIMPL_SECONDS", "1")))
    if seconds and rounds:
        rule = replace(rounds.RULE, max_seconds=seconds)
    if rounds is None:
        return [single.measure(case, name, rule) for name in names]
    number, checked = planned.get("number", 1), planned.get("checked", ())
    return rounds.measure_round(case, names, number, rule, checked) if names else []


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
        manifests = Path(path).with_name(Path(path).name.split(".rows.")[0].split(".rounds.")[0] + ".manifest.jsonl")
        if all(known["id"] != record["manifest"] for known in lines(manifests)):
            append(manifests, environment.manifest())
        append(Path(path), record)
    return record


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
