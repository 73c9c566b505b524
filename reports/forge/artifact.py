"""The gate's report as a job of a fork uploaded it: every byte may be an attacker's.

Only numbers, verdicts and names of rows are taken, each checked against a schema; texts of the report (commit subjects,
hunks, error messages) are not. Anything that does not fit refuses the whole report.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lossimpl import files, wording
from reports.gate.outcome import FORMAT, Change, Covered, Fault, Outcome, RowOutcome
from reports.gate.quality import BYTES, ERRORS

MOST_BYTES = 4 * 2**20
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Benchmark = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,60}(\.[A-Za-z_][A-Za-z0-9_]{0,60}){1,3}$")]
Param = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+ =,-]{0,60}$")] | int | None
Decided = Literal["", "agreement", "identical code", "instructions", "instructions of smaller shapes", "time"]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e18, le=1e18)]
Positive = Annotated[float, Field(allow_inf_nan=False, gt=1e-9, le=1e9)]
Count = Annotated[int, Field(ge=0, le=10**9)]
WORDS = {
    **ERRORS,
    **BYTES,
    "data": "delivers other samples",
    "agreement": "disagrees with the reference",
    "instructions": "instructions per call",
}


class Refused(ValueError):
    """A report that is not what the gate writes."""


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Change(_Checked):
    what: Literal[
        "value_max_rel", "value_mean_rel", "grad_max_rel", "grad_mean_rel", "peak_bytes", "saved_bytes", "data",
        "agreement", "instructions",
    ]  # fmt: skip
    base: Number | None
    head: Number | None
    worse: bool


class _Row(_Checked):
    benchmark: Benchmark
    params: Annotated[list[Param], Field(max_length=12)]
    verdict: Literal["slower", "faster", "same", "inconclusive"]
    ratio: Positive | None
    low: Positive | None
    high: Positive | None
    pairs: Count
    decided: Decided
    changes: Annotated[list[_Change], Field(max_length=20)]


class _Group(_Checked):
    rows: Count
    decided: Decided
    missing: Annotated[str, Field(max_length=100_000)]


class _Report(_Checked):
    format: Literal[1]
    base: Sha
    head: Sha
    effect: Annotated[float, Field(gt=0, le=10)]
    rate: Annotated[float, Field(gt=0, lt=1)]
    budget_seconds: Number
    spent_seconds: Number
    rows: Annotated[list[_Row], Field(max_length=5000)]
    groups: Annotated[list[_Group], Field(max_length=5000)]
    faults: Annotated[list[object], Field(max_length=5000)]
    removed: Annotated[list[object], Field(max_length=5000)]


def read(path: Path, head: str) -> Outcome:
    """The report in a file as the gate's outcome for the commit `head`, which the forge names; raises `Refused`."""
    try:
        report = _Report.model_validate_json(files.whole(path, MOST_BYTES))
    except ValidationError as failure:
        first = failure.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part)[:20] for part in first["loc"][:4])
        raise Refused(f"the report is not what this version reads (format {FORMAT}): {where} {first['type']}") from None
    except (OSError, files.Unreadable, RecursionError) as failure:
        raise Refused(f"no report can be read: {type(failure).__name__}: {_plain(failure)}") from None
    if report.head != head:
        raise Refused("the report is of another commit than the run that uploaded it")
    return _outcome(report)


def _plain(failure: BaseException) -> str:
    return str(getattr(failure, "strerror", None) or failure).splitlines()[0][:80]


def _outcome(report: _Report) -> Outcome:
    groups = (Covered("", "", one.rows, one.decided, "not measured" * bool(one.missing)) for one in report.groups)
    return Outcome(
        report.base,
        report.head,
        report.effect,
        report.rate,
        report.budget_seconds,
        report.spent_seconds,
        rows=tuple(map(_row, report.rows)),
        groups=tuple(groups),
        faults=(Fault("", "", ""),) * len(report.faults),
        removed=("",) * len(report.removed),
    )


def _row(one: _Row) -> RowOutcome:
    ratio, low, high = (math.nan if value is None else value for value in (one.ratio, one.low, one.high))
    return RowOutcome(
        one.benchmark,
        tuple(one.params),
        one.verdict,
        ratio,
        low,
        high,
        p_value=math.nan,
        pairs=one.pairs,
        detectable=math.nan,
        pairs_needed=0,
        decided=one.decided,
        changes=tuple(map(_change, one.changes)),
    )


def _change(one: _Change) -> Change:
    """A change in our own words, from its numbers."""
    words = wording.error if one.what in ERRORS else wording.size if one.what in BYTES else wording.count
    numbers = "" if one.base is None or one.head is None else f": {words(one.base)} -> {words(one.head)}"
    return Change(one.what, one.base, one.head, one.worse, f"{WORDS[one.what]}{numbers}")
