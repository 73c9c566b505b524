"""`lossimpl check [LOSS]`: the conformance table, counted; exit code 1 if ours or an implementation named fails."""

from __future__ import annotations

import json as json_module
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossimpl.spec import OURS
from lossimpl.terminal import console, import_torch

if TYPE_CHECKING:
    from lossimpl.agreement.judge import Result
    from lossimpl.conformance.run import Job
    from lossimpl.spec import Loss

STATUSES = ("pass", "fail", "unavailable", "error")
SHOWN = 25  # failures printed in full; the rest are in the JSON lines
EAGER = "every implementation but those of torch.compile, which take minutes"


def check(
    loss: Annotated[str, typer.Argument(help="One loss; default: all.")] = "",
    implementation: Annotated[list[str] | None, typer.Option(help=f"Only these; repeat. Default: {EAGER}.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="cpu or cuda; repeat for both. Default: cpu.")] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="Only these; repeat for several.")] = None,
    slow: Annotated[bool, typer.Option("--slow", help="Also tensors of more than 2^31 elements.")] = False,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="Check the checks: which of them refuses each of our mutants?")
    ] = False,
    ways: Annotated[
        bool, typer.Option("--ways", help="The cases under transforms, tracing and export: works, refuses or fails.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write one JSON object per row to this file.", dir_okay=False)
    ] = None,
) -> None:
    """Run the hard cases on every implementation, each in a child process with a deadline."""
    import_torch()
    if mutants:
        _detect_mutants(loss, json)
        return
    if ways:
        _under_ways(loss, implementation or [], dtype or [], json)
        return
    todo = _asked(loss, implementation or [], device or ["cpu"], dtype or [], slow)
    rows = _run(todo, json)
    named = {*OURS, *(implementation or [])}
    _show(rows, named)
    absent = _absent(rows)
    _audit([job for job in todo if job.implementation not in absent])
    if all(row.status == "unavailable" for row in rows):
        typer.echo("nothing was checked: all of it is unavailable here (`lossimpl list` says why)", err=True)
        raise typer.Exit(1)
    if any(row.implementation in named and row.status in ("fail", "error") for row in rows):
        raise typer.Exit(1)


def _detect_mutants(name: str, json: Path | None) -> None:
    """Which check caught each mutant; exit code 1 when one survives."""
    import warnings

    from rich.progress import track
    from rich.table import Table

    from lossimpl.conformance.mutants import detect
    from lossimpl.conformance.mutants import mutants as mutants_of

    warnings.simplefilter("ignore")  # broadcasting warns by contract, once per case
    todo = [(loss, mutant) for loss in _losses(name) for mutant in mutants_of(loss)]
    found = []
    with json.open("w") if json else nullcontext() as file:
        for loss, mutant in track(todo, description="checking mutants", console=console(stderr=True)):
            found.append(detect(loss, mutant))
            if file:
                print(json_module.dumps(asdict(found[-1])), file=file, flush=True)
    table = Table("loss", "mutant", "caught by", title="Mutants")
    for one in found:
        table.add_row(one.loss, one.mutant, one.by or "not detected")
    console().print(table)
    console().print(
        ", ".join(f"{count} by {by or 'nothing'}" for by, count in Counter(one.by for one in found).items())
    )
    if not all(one.by for one in found):
        raise typer.Exit(1)


def _under_ways(name: str, implementations: list[str], dtypes: list[str], json: Path | None) -> None:
    """Count the cases that hold under every way of calling; exit code 1 where one fails."""
    from rich.table import Table

    from lossimpl.conformance import ways

    found: list[ways.Cell] = []
    table = Table("way", "loss", "implementation", "pass", "fail", "refused", "not applicable", title="Ways of calling")
    with json.open("w") if json else nullcontext() as file:
        for cell in ways.cells([one.name for one in _losses(name)], implementations, dtypes=dtypes):
            found.append(cell)
            counts = (cell.passed, cell.failed, cell.refused, cell.inapplicable)
            table.add_row(cell.way, cell.loss, cell.implementation, *map(str, counts))
            console(stderr=True).print(f"{cell.way}, {cell.loss}, {cell.implementation}: {cell.status}", markup=False)
            if file:
                print(json_module.dumps(asdict(cell) | {"status": cell.status}), file=file, flush=True)
    console().print(table)
    failed = [cell for cell in found if cell.failed]
    for cell in failed[:SHOWN]:
        console().print(f"fail: {cell.way}, {cell.loss}, {cell.implementation}", style="red", markup=False)
        console().print("\n".join(f"    {reason}" for reason in cell.reasons), markup=False)
    if failed:
        raise typer.Exit(1)


def _losses(name: str) -> list[Loss]:
    """The loss of that name, or all."""
    import lossimpl

    if name and name not in lossimpl.LOSSES:
        raise typer.BadParameter(f"LOSS {name!r}: it must be one of {', '.join(lossimpl.LOSSES)}")
    return [lossimpl.get(name)] if name else list(lossimpl.LOSSES.values())


def _asked(loss: str, implementations: list[str], devices: list[str], dtypes: list[str], slow: bool) -> list[Job]:
    from lossimpl.conformance.run import jobs
    from lossimpl.spec import COMPILING, DEVICES, DTYPES

    losses = _losses(loss)
    known = list(dict.fromkeys(name for one in losses for name in one.implementations))
    for option, given, allowed in (
        ("--implementation", implementations, known),
        ("--device", devices, DEVICES),
        ("--dtype", dtypes, DTYPES),
    ):
        for value in given:
            if value not in allowed:
                raise typer.BadParameter(f"{option} {value!r}: it must be one of {', '.join(allowed)}")
    asked = implementations or [name for name in known if name not in COMPILING]
    return [job for device in devices for job in jobs(losses, asked, device, dtypes, slow)]


def _run(todo: list[Job], json: Path | None) -> list[Result]:
    """The results; each is written as soon as it is known, so that a run that is stopped keeps them."""
    from rich.progress import track

    from lossimpl.conformance.run import run

    rows = []
    with json.open("w") if json else nullcontext() as file:
        for row in track(run(todo), description="checking", total=len(todo), console=console(stderr=True)):
            rows.append(row)
            if file:
                print(json_module.dumps(asdict(row)), file=file, flush=True)
    return rows


def _audit(todo: list[Job]) -> None:
    from rich.table import Table

    from lossimpl.conformance.run import audits

    table = Table(
        "loss", "implementation", "20 calls", "1 and 2 threads", "alone and in a batch", title="Bitwise the same"
    )
    for loss, name, found in audits(todo):
        shown = [found, "", ""] if isinstance(found, str) else [found.repeated, found.threads, found.batch]
        table.add_row(loss, name, *(one if isinstance(one, str) else "same" if one else "differ" for one in shown))
    if table.row_count:
        console().print(table)


def _show(rows: Iterable[Result], named: Collection[str]) -> None:
    """The counts, and the failures of implementations that are ours or were named; absent ones take one line each."""
    from rich.table import Table

    rows = list(rows)
    counts = Counter((row.loss, row.implementation, row.status) for row in rows)
    table = Table("loss", "implementation", *STATUSES, title="Conformance")
    absent = _absent(rows)
    for name, one in dict.fromkeys((row.loss, row.implementation) for row in rows if row.implementation not in absent):
        table.add_row(name, one, *(str(counts[name, one, status]) for status in STATUSES))
    out = console()
    out.print(table)
    for name, reason in absent.items():
        out.print(f"{name}: unavailable, {reason}", markup=False)
    for row in [row for row in rows if row.implementation in named and row.status in ("fail", "error")][:SHOWN]:
        out.print(f"{row.status}: {row.loss} {row.implementation} {row.dtype}: {row.case}", style="red", markup=False)
        out.print(f"    {row.reason}\n    expected {row.expected} ({row.source})\n    got {row.got}", markup=False)


def _absent(rows: Iterable[Result]) -> dict[str, str]:
    """The implementations that are unavailable in every row, with the reason."""
    reasons: dict[str, str] = {}
    present = set()
    for row in rows:
        if row.status == "unavailable":
            reasons.setdefault(row.implementation, row.reason)
        else:
            present.add(row.implementation)
    return {name: reason for name, reason in reasons.items() if name not in present}
