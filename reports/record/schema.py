"""What each field of a stored record may hold. docs/record.md is written from these tables, and a test compares them.

A record in a version that is not known here is refused. A field that is not known here is kept in the archive and
named, once per file, as a problem: a newer version may have written it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from reports.record.kinds import (
    ANY,
    COUNT,
    ERROR,
    FLAG,
    NAMED,
    NAMED_OR_NONE,
    NUMBER,
    OBJECT,
    OBJECTS,
    POSITIVE,
    SAMPLES,
    SIZE,
    SIZES,
    SIZES_OR_NONE,
    STATUS,
    TEXT,
    TEXTS,
    TIME,
    VERDICT,
    Kind,
)

Record = dict[str, Any]


class Field(NamedTuple):
    """What a field holds, in which unit, and whether a record must have it."""

    kind: Kind
    what: str
    needed: bool = False


Fields = Mapping[str, Field]

ROUND: Fields = {
    "number": Field(COUNT, "the round in its session, from 1", True),
    "position": Field(COUNT, "the implementation's place in the random order of the round"),
    "seconds": Field(POSITIVE, "the time per call: the median of the samples", True),
    "samples": Field(SAMPLES, "the time per call of each timed batch, in seconds"),
    "calls": Field(COUNT, "calls per sample"),
    "stop": Field(TEXT, "why no further sample was taken"),
    "precision": Field(ERROR, "half the width of the median's interval within the process, as a fraction"),
    "warmup_seconds": Field(SIZE, "the time spent before the first sample"),
    "first_call_seconds": Field(SIZE, "the first call, compilation included"),
    "busy": Field(TEXT, "what disturbed the round; empty if nothing did", True),
    "ceiling": Field(SIZE, "the bandwidth of a copy or a read in this process, in bytes/s"),
    "started_at": Field(TIME, "when the round began"),
    "beside": Field(OBJECT, "what else the processor did"),
}
AGREEMENT: Fields = {
    "value_max_rel": Field(ERROR, "largest relative error of the value against float64"),
    "value_mean_rel": Field(ERROR, "mean relative error of the value"),
    "value_ulp": Field(ERROR, "largest error of the value in units in the last place"),
    "grad_max_rel": Field(ERROR, "largest relative error of the gradient"),
    "grad_mean_rel": Field(ERROR, "mean relative error of the gradient"),
    "grad_ulp": Field(ERROR, "largest error of the gradient in units in the last place"),
    "verdict": Field(TEXT, "`ok` or `wrong`"),
    "reason": Field(TEXT, "why it is wrong"),
}
ROW: Fields = {
    "benchmark": Field(TEXT, "asv's name of the benchmark: `file.Class.function`", True),
    "params": Field(TEXTS, "the parameters as asv writes them, in the benchmark's order", True),
    "loss": Field(NAMED, "the loss: the benchmark's file"),
    "implementation": Field(NAMED, "the first parameter"),
    "shape": Field(SIZES, "sizes of the first tensor, joined by x"),
    "dtype": Field(NAMED, "of the first tensor"),
    "device": Field(NAMED, "cpu or cuda"),
    "mode": Field(NAMED, "forward, step, reuse, backward or graph"),
    "options": Field(OBJECT, "options of the loss that differ from its defaults"),
    "maker": Field(TEXT, "what made the inputs"),
    "seed": Field(COUNT, "of the inputs"),
    "status": Field(STATUS, "what became of the row"),
    "reason": Field(TEXT, "why the status is not ok"),
    "rounds": Field(OBJECTS, "the rounds of the session (table below); absent in format 1"),
    "samples": Field(SAMPLES, "format 1: the time per call of each timed batch of its one process, in seconds"),
    "number": Field(SIZE, "format 1: calls per sample"),
    "stop": Field(TEXT, "format 1: why no further sample was taken"),
    "precision": Field(ERROR, "format 1: half the width of the median's interval, as a fraction"),
    "warmup_seconds": Field(SIZE, "format 1: the time spent before the first sample"),
    "first_call_seconds": Field(SIZE, "format 1: the first call, compilation included"),
    "busy": Field(TEXT, "format 1: what disturbed the process; empty if nothing did"),
    "beside": Field(OBJECT, "format 1: what else the processor did"),
    "share": Field(SIZE, "format 1: share of the ceiling"),
    "share_low": Field(SIZE, "lower end of the share's interval"),
    "share_high": Field(SIZE, "upper end of the share's interval"),
    "ceiling": Field(SIZE, "format 1: bandwidth of a copy or a read, in bytes/s"),
    "threads": Field(COUNT, "threads of torch"),
    "protocol": Field(TEXT, "what is warm or cold, in words"),
    "agreement": Field(OBJECT, "distance from the float64 reference (table below)"),
    "checked_shape": Field(SIZES_OR_NONE, "the shape on which agreement was measured"),
    "traffic": Field(SIZE, "the fewest bytes that the case must move"),
    "ceiling_name": Field(NAMED_OR_NONE, "copy or read"),
    "level": Field(NAMED_OR_NONE, "the memory level that the case fits into"),
    "peak_bytes": Field(SIZE, "memory allocated during the call"),
    "saved_bytes": Field(SIZE, "memory kept between forward and backward"),
    "manifest": Field(NAMED_OR_NONE, "id of the environment's manifest"),
    "session": Field(NAMED, "id of the session; absent in format 1"),
    "started_at": Field(TIME, "when the row was measured first"),
    "format": Field(COUNT, "2: measured in rounds; absent: format 1"),
    "value": Field(SIZE, "loaders only: seconds per sample"),
}
LOADER: Fields = {
    "kind": Field(NAMED, "measurement, argument or summary", True),
    "dataset": Field(NAMED, "the dataset", True),
    "scenario": Field(OBJECT, "arguments of the DataLoader"),
    "status": Field(STATUS, "what became of the settings"),
    "reason": Field(TEXT, "why the status is not ok"),
    "advice": Field(TEXT, "what to do about it"),
    "argument": Field(TEXT, "the argument that was changed alone"),
    "verdict": Field(TEXT, "the data compared with that of `num_workers=0`"),
    "verdict_reason": Field(TEXT, "what differs"),
    "budget": Field(SIZE, "seconds that the settings were measured for"),
    "samples_per_second": Field(SAMPLES, "of each epoch"),
    "epoch_rate": Field(SIZE, "samples/s over whole epochs"),
    "epoch_rate_low": Field(SIZE, "lower end of its interval"),
    "epoch_rate_high": Field(SIZE, "upper end of its interval"),
    "rate": Field(SIZE, "samples/s in the steady state"),
    "rate_low": Field(SIZE, "lower end of its interval"),
    "rate_high": Field(SIZE, "upper end of its interval"),
    "step": Field(SIZE, "seconds of the simulated training step"),
    "consumer": Field(TEXT, "what the step does"),
    "stall_fraction": Field(SIZE, "share of the time that training waits for data"),
    "first_batch_seconds": Field(SIZE, "from iter() to the first batch"),
    "batch_seconds": Field(OBJECT, "percentiles of the wait for a batch, in seconds"),
    "cpu_cores": Field(SIZE, "cores in use, on average"),
    "pss_bytes": Field(SIZE, "proportional set size of the process tree"),
    "attribution": Field(OBJECT, "the time of a batch by stage, in seconds"),
    "batches": Field(COUNT, "batches that were timed"),
    "seed": Field(COUNT, "of the shuffle"),
    "build_seconds": Field(SIZE, "to make the loader"),
    "iter_seconds": Field(SIZE, "of iter()"),
    "restart_seconds": Field(SIZE, "to begin a further epoch"),
    "shutdown_seconds": Field(SIZE, "to end its workers"),
    "seconds": Field(SIZE, "that measuring took"),
    "steady_state": Field(FLAG, "whether the rate settled"),
    "page_cache": Field(TEXT, "warm or cold"),
    "pss_growth_bytes": Field(NUMBER, "growth of the memory while measuring"),
    "length": Field(ANY, "of the loader"),
    "epoch_samples": Field(ANY, "in an epoch"),
    "digest": Field(ANY, "of the data"),
    "verdict_samples": Field(ANY, "how many samples the verdict compares"),
    "verdict_whole": Field(ANY, "whether it compares an epoch"),
    "findings": Field(ANY, "what was found wrong with the loader"),
    "notes": Field(ANY, "what a reader should know"),
    "warnings": Field(ANY, "that the loader gave"),
    "sentence": Field(TEXT, "summary only: the answer"),
    "call": Field(TEXT, "summary only: the call of DataLoader to paste"),
    "lines": Field(TEXTS, "summary only: remarks on the answer"),
    "provisional": Field(FLAG, "summary only: no data was compared"),
    **dict.fromkeys(("best", "smallest", "reordered", "repeated"), Field(OBJECT, "summary only: a row of the answer")),
    **dict.fromkeys(("tied", "pareto", "refused", "tried"), Field(OBJECTS, "summary only: rows of the answer")),
    **dict.fromkeys(("arguments", "others", "facts", "cost"), Field(ANY, "summary only: what the search saw")),
    **dict.fromkeys(("stall_bound", "needed"), Field(ANY, "summary only: what was asked for, and what it takes")),
    **dict.fromkeys(("stopped", "interrupted"), Field(ANY, "summary only: why the search ended")),
    "busy": Field(TEXT, "what disturbed the measurement; empty if nothing did"),
    "key": Field(TEXT, "the settings as text, by which a search continues"),
}
LOADER_ROW: Fields = {
    **ROW,
    **LOADER,
    "kind": Field(NAMED, "measurement"),
    "status": Field(STATUS, "what became of it"),
}
SESSION_LINE: Fields = {
    "session": Field(NAMED, "its id", True),
    "grid": Field(NAMED, "which rows were asked for"),
    "commit": Field(TEXT, "the whole hash of the commit"),
    "began_at": Field(TIME, "when it began"),
    "seconds": Field(SIZE, "how long it took"),
    "timed_seconds": Field(SIZE, "of these, inside timed calls"),
    "rounds": Field(COUNT, "rounds of all cases"),
}
MANIFEST: Fields = {
    "id": Field(NAMED, "a digest of all other fields", True),
    "revision": Field(TEXT, "the commit"),
    "python": Field(TEXT, "version"),
    "system": Field(TEXT, "kernel and architecture"),
    "packages": Field(OBJECT, "versions by name"),
    "torch": Field(OBJECT, "its build and settings"),
    "cpu": Field(OBJECT, "model, cores, caches, instruction sets"),
    "gpu": Field(OBJECT, "model and driver; null without one"),
    "threads": Field(OBJECT, "usable, and used for measuring"),
    "allocator": Field(OBJECT, "C library, preloaded allocators, huge pages"),
    "variables": Field(OBJECT, "environment variables that change speed or results"),
    "seed": Field(COUNT, "of the inputs"),
}
CONFORMANCE: Fields = {
    "loss": Field(NAMED, "the loss", True),
    "case": Field(TEXT, "the hard case", True),
    "implementation": Field(NAMED, "the implementation", True),
    "device": Field(NAMED, "cpu or cuda", True),
    "dtype": Field(NAMED, "of the inputs", True),
    "status": Field(VERDICT, "the result", True),
    "input": Field(ANY, "the inputs in words"),
    "expected": Field(ANY, "what the reference gives"),
    "got": Field(ANY, "what the implementation gave"),
    "source": Field(TEXT, "of the expected value"),
    "reason": Field(TEXT, "why it failed"),
}
NIGHT: Fields = {
    "commit": Field(TEXT, "the first commit of the new level", True),
    "row": Field(TEXT, "asv's name of the row"),
    "environment": Field(TEXT, "asv's name of the environment"),
    "before": Field(TEXT, "the last commit of the old level"),
    "ratio": Field(POSITIVE, "new level over old"),
    "confidence": Field(SIZE, "1 - p of the rank-sum test"),
    "again": Field(TEXT, "what measuring both commits again showed"),
    "stands": Field(FLAG, "whether pairs did not refute it"),
    "moved_to": Field(TEXT, "the commit where pairs put it"),
    "event": Field(TEXT, "a new environment"),
    "machine": Field(TEXT, "of something that became worse"),
    "text": Field(TEXT, "what became worse"),
}


def fault(record: Mapping[str, Any], fields: Fields) -> str:
    """Which field is wrong and how, empty if none is; null stands for an absent field.

    >>> fault({"session": 7}, SESSION_LINE)
    "'session' is 7, expected name"
    """
    for key, (kind, _, needed) in fields.items():
        value = record.get(key)
        if value is None:
            if needed:
                return f"{key!r} is missing, expected {kind.words}"
        elif not kind.allows(value):
            return f"{key!r} is {value!r:.60}, expected {kind.words}"
    return ""


def unknown(record: Mapping[str, Any], fields: Fields) -> Iterable[str]:
    """The names of fields that the schema does not have."""
    return record.keys() - fields.keys()
