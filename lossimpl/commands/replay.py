"""`lossimpl replay FILE --row N`: measure one stored number again, here and now, and judge whether it is reproduced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossimpl import wording
from lossimpl.ranking import median_interval, ratio, tied

if TYPE_CHECKING:
    from lossimpl.row import Row
    from lossimpl.spec import Case

Record = dict[str, Any]
NEEDED = ("loss", "implementation", "shape", "dtype", "device", "mode", "status")

SPREAD = 0.05  # two processes on one quiet machine differ by a few percent, which the interval of one does not include


def replay(
    file: Annotated[
        Path, typer.Argument(help="Rows as a sweep keeps them, or as `lossimpl compare --json` prints.", dir_okay=False)
    ],
    row: Annotated[int, typer.Option(help="Which row, counted from 1; 0 lists them.")] = 0,
    seconds: Annotated[float, typer.Option(help="What the samples may take.", min=0.1)] = 2.0,
) -> None:
    """Measure one stored row again and say whether its time, its status and its agreement are reproduced."""
    records = load(file)
    if row == 0:
        for number, record in enumerate(records, 1):
            typer.echo(f"{number:5}  {title(record)}")
        return
    if not 1 <= row <= len(records):
        raise typer.BadParameter(f"--row {row}: {file.name} holds rows 1 to {len(records)}")
    stored = records[row - 1]
    typer.echo(title(stored))
    if lacking := [name for name in NEEDED if not isinstance(stored.get(name), str)]:
        raise typer.BadParameter(f"--row {row}: lacks {', '.join(lacking)}, which are needed to measure it again")
    for line in environment_lines(stored, manifests(file)):
        typer.echo(line)
    fresh = measure_again(stored, seconds)
    reasons = differences(stored, fresh)
    for line in (*measured_lines(stored, fresh), *reasons):
        typer.echo(line)
    typer.echo("not reproduced" if reasons else "reproduced")
    if reasons:
        raise typer.Exit(1)


def load(file: Path) -> list[Record]:
    """The rows of losses in a file of JSON lines, or of one JSON list."""
    try:
        text = file.read_text()
        records = json.loads(text) if text.lstrip().startswith("[") else list(map(json.loads, text.splitlines()))
    except (OSError, ValueError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise typer.BadParameter(f"{file}: {error}") from error
    found = [record for record in records if isinstance(record, dict) and "implementation" in record]
    if not found:
        raise typer.BadParameter(f"{file}: no row of a loss; loader rows are replayed by `lossimpl loaders`")
    return found


def manifests(file: Path) -> dict[str, Record]:
    """The manifests beside a file of rows, by their identity."""
    beside = file.with_name(file.name.replace(".rows.jsonl", ".manifest.jsonl"))
    if beside == file or not beside.exists():
        return {}
    try:
        return {manifest["id"]: manifest for manifest in map(json.loads, beside.read_text().splitlines())}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"{beside}: no manifests, {error}") from error


def title(record: Record) -> str:
    """The row in one line."""
    return " ".join(str(record.get(name, "?")) for name in NEEDED)


def case_of(record: Record) -> Case:
    """The case that the row measured; ValueError for words that no case has."""
    from lossimpl.spec import DEVICES, DTYPES, MODES, Case

    for name, allowed in (("dtype", DTYPES), ("device", DEVICES), ("mode", MODES)):
        if record[name] not in allowed:
            raise ValueError(f"{name} {record[name]!r}: it must be one of {', '.join(allowed)}")
    return Case(
        loss=record["loss"],
        shape=tuple(map(int, record["shape"].split("x"))),
        dtype=record["dtype"],
        device=record["device"],
        mode=record["mode"],
        options=tuple(sorted(record.get("options", {}).items())),
        maker=record.get("maker", "normal"),
        seed=record.get("seed", 0),
    )


def measure_again(record: Record, seconds: float) -> Row:
    """The same case and implementation, measured now."""
    from lossimpl.measure.types import Rule
    from lossimpl.row import measure

    try:
        return measure(case_of(record), record["implementation"], Rule(max_seconds=seconds))
    except (KeyError, ValueError) as error:
        raise typer.BadParameter(f"this row cannot be measured here: {error}") from error


def environment_lines(record: Record, known: dict[str, Record]) -> list[str]:
    """How the environment differs from the one that the row was measured in, a line a field."""
    from lossimpl import environment

    now = environment.manifest()
    then = known.get(record.get("manifest", ""))
    if then is None:
        return ["environment: not recorded for the stored row; a time difference cannot be attributed"]
    found = environment.differences(then, now)
    if not found:
        return ["environment: the same"]
    return ["environment: differs, which may explain a time difference", *(f"  {n}: {a} -> {b}" for n, a, b in found)]


def differences(record: Record, fresh: Row) -> list[str]:
    """Why the row is not reproduced, one line per reason; none if it is.

    Reproduced: the same status and the same verdict on agreement, and times whose intervals overlap when the stored
    one is widened by 5 percent, for what differs between two processes.
    """
    found = []
    if fresh.status != record["status"]:
        found.append(f"status: {record['status']} -> {fresh.status} ({fresh.reason or 'no reason'})")
    then, now = (verdict(each) for each in (record.get("agreement"), fresh.agreement))
    if then != now:
        found.append(f"agreement: {then} -> {now}")
    if record.get("samples") and fresh.samples:
        stored = median_interval(record["samples"]).widened(SPREAD)
        if not tied(stored, median_interval(fresh.samples)):
            found.append("time: the intervals do not overlap")
    return found


def verdict(agreement: Record | None) -> str:
    """The verdict on agreement, or `not checked`."""
    return str(agreement["verdict"]) if agreement else "not checked"


def measured_lines(record: Record, fresh: Row) -> list[str]:
    """Both times and their ratio, with intervals, and whether the machine was busy."""
    if not (record.get("samples") and fresh.samples):
        return []
    then, now = median_interval(record["samples"]), median_interval(fresh.samples)
    both = {"stored": then, "now": now}
    return [
        *(f"{name}: {wording.seconds(one.value)} ({wording.interval(*one)})" for name, one in both.items()),
        f"now / stored: {wording.times_interval(*ratio(now, then))}",
        *([f"note: {fresh.busy}"] if fresh.busy else []),
    ]
