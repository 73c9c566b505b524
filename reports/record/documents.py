"""The JSON documents of a machine: asv's facts about it, and the self-tests."""

from __future__ import annotations

from typing import Any

from reports.record.formats import Record, require, require_fields
from reports.record.kinds import (
    ANY,
    COUNT,
    NUMBER,
    OBJECT,
    OBJECTS,
    REPLAY_VERDICT,
    SIZE,
    TEXT,
    TEXTS,
    TIME,
    finite,
)
from reports.record.schema import Field, Fields

MACHINE: Fields = {
    "machine": Field(TEXT, "its name"),
    "arch": Field(TEXT, "architecture"),
    "cpu": Field(TEXT, "model"),
    "num_cpu": Field(TEXT, "cores"),
    "os": Field(TEXT, "system"),
    "ram": Field(TEXT, "bytes of memory"),
    "version": Field(COUNT, "asv's format: 1"),
}
COVERED: Fields = {"rows": Field(COUNT, "compared", True), "covered": Field(COUNT, "held", True)}
SWEEP_TEST: Fields = {
    "machine": Field(TEXT, "its name"),
    "sessions": Field(TEXTS, "their ids, oldest first"),
    "rounds": Field(COUNT, "of a session"),
    "coverage": Field(OBJECT, "of time, ratio and share: rows compared and covered"),
    "smallest_difference": Field(OBJECT, "of time, ratio and share, as fractions"),
    "between_share": Field(SIZE, "share of the variance between sessions"),
    "drift": Field(NUMBER, "largest change of all rows from session to session"),
    "identical_series": Field(OBJECT, "rows of torch compared and flagged"),
    "recommended_rounds": Field(COUNT, "for intervals of 5 %"),
}
REPLAYED: Fields = {
    "machine": Field(TEXT, "its name", True),
    "measured_at": Field(TIME, "when"),
    "revision": Field(TEXT, "the code that measured again; empty where each row's own commit was built"),
    "rounds": Field(COUNT, "undisturbed ones of each row"),
    "sampled": Field(COUNT, "rows drawn at random and measured again", True),
    "comparable": Field(COUNT, "rows from which they were drawn"),
    "altered": Field(COUNT, "rows changed after they were written, which were not measured"),
    "rows": Field(OBJECTS, "what was found of each row (table below)", True),
}
REPLAYED_ROW: Fields = {
    "id": Field(TEXT, "of the row", True),
    "title": Field(TEXT, "loss, implementation, shape, dtype, device, mode, status", True),
    "verdict": Field(REPLAY_VERDICT, "", True),
    "lines": Field(TEXTS, "what the verdict rests on"),
}
GATE_TEST: Fields = {
    "commit": Field(TEXT, "the revision of the gate"),
    "measured_at": Field(TIME, "when"),
    "budget_seconds": Field(SIZE, "for each group of rows"),
    "rows_of_identical_code": Field(COUNT, "compared with themselves"),
    "flagged_by_time": Field(COUNT, "of these, by time"),
    "verdicts_on_identical_code": Field(OBJECTS, "`verdict` and `rows`"),
    "instruction_rows": Field(COUNT, "compared by instructions"),
    "instruction_false_alarms": Field(COUNT, "of these, flagged"),
    "instruction_planted_found": Field(TEXT, "found of all, in words"),
    "instruction_planted_missed": Field(TEXT, "their names, or none"),
    "detection": Field(OBJECTS, "`planted`, `rows`, `found`, `median_pairs`"),
}
SEARCHED: Fields = {
    "dataset": Field(TEXT, "its name", True),
    "share_of_time": Field(SIZE, "search over product", True),
    "settings": Field(COUNT, "valid combinations", True),
    "product_seconds": Field(SIZE, "to measure all", True),
    "search_seconds": Field(SIZE, "to the answer", True),
    "chosen": Field(TEXT, "by the search", True),
    "chosen_of_best": Field(SIZE, "rate chosen over best"),
    "best_of_product": Field(TEXT, "the best settings"),
    "searches": Field(COUNT, "how many"),
    "runs": Field(OBJECTS, "`of_best` of each search"),
}
ADDED: Fields = {
    "dataset": Field(TEXT, "its name", True),
    "epoch_seconds": Field(SIZE, "of an empty loop", True),
    "epochs": Field(COUNT, "of both loops", True),
    "added": Field(NUMBER, "to an epoch, as a fraction", True),
    "added_low": Field(NUMBER, "lower end of its interval", True),
    "added_high": Field(NUMBER, "upper end of its interval", True),
    "what": Field(TEXT, "the drive loop, or observe"),
    "workers": Field(COUNT, "of the loader"),
}
LOADER_TEST: Fields = {
    "commit": Field(TEXT, "the revision of the laboratory"),
    "measured_at": Field(TIME, "when"),
    "search": Field(OBJECTS, "the search against measuring all combinations (table below)"),
    "overhead": Field(OBJECTS, "what measuring adds (table below)"),
    "bottlenecks": Field(OBJECT, "`named` of `runs`"),
    "budget": Field(OBJECT, "`kept` of `runs`"),
    "trainings": Field(OBJECTS, "`error` of each predicted gain"),
}
DOCUMENTS: dict[str, Fields] = {
    "machine.json": MACHINE,
    "gate-selftest.json": GATE_TEST,
    "loaders-selftest.json": LOADER_TEST,
    "sweep-selftest.json": SWEEP_TEST,
    "replay.json": REPLAYED,
}
PARTS: dict[str, dict[str, Fields]] = {  # the fields of the objects in a list of a document
    "replay.json": {"rows": REPLAYED_ROW},
    "loaders-selftest.json": {"search": SEARCHED, "overhead": ADDED},
    "gate-selftest.json": {
        "detection": {name: Field(ANY, "") for name in ("planted", "rows", "found")},
        "verdicts_on_identical_code": {
            "verdict": Field(TEXT, "", True),
            "rows": Field(COUNT, "", True),
        },
    },
}


def document(name: str, data: Any) -> Record:
    """A JSON file of a machine, checked with the objects of its lists."""
    require(isinstance(data, dict), f"is {type(data).__name__}, expected a JSON object")
    require_fields(data, DOCUMENTS[name])
    for part, fields in PARTS.get(name, {}).items():
        for number, one in enumerate(data.get(part) or [], start=1):
            require_fields(one, fields, f"{part} {number}: ")
    if name == "loaders-selftest.json":
        _require_counts(data)
    return dict(data)


def _require_counts(data: Record) -> None:
    """The parts that are counted need what is counted."""
    for part, counted in {"bottlenecks": "named", "budget": "kept"}.items():
        one = data.get(part)
        if one:
            right = COUNT.allows(one.get(counted)) and isinstance(one.get("runs"), list)
            require(right, f"{part}: lacks {counted!r} or 'runs'")
    for one in data.get("trainings") or []:
        require(finite(one.get("error")), f"trainings: 'error' is {one.get('error')!r:.60}, expected number")
    for one in data.get("search") or []:
        right = all(finite(run.get("of_best")) for run in one.get("runs") or [])
        require(right, "search: a run lacks 'of_best'")
