"""`lossimpl compare LOSS`: a ranked table of one case, measured here and now, within a minute."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from lossimpl import ranking, wording
from lossimpl.ranking import Interval, median_interval
from lossimpl.spec import Case, Device, Dtype, Mode, Reduction
from lossimpl.terminal import import_torch

if TYPE_CHECKING:
    from lossimpl.row import Row
    from lossimpl.spec import Loss, Shape

BUDGET = 40.0  # seconds for all implementations, which leaves a third of a minute for compiling


def compare(
    loss: Annotated[str, typer.Argument(help="A loss; `lossimpl list` shows them.")],
    shape: Annotated[
        str, typer.Option(help="Shape of the first tensor, such as 512x32000; default: a large one.")
    ] = "",
    dtype: Annotated[Dtype, typer.Option(help="Type of the tensors.")] = "float32",
    device: Annotated[Device, typer.Option(help="Where to run.")] = "cpu",
    mode: Annotated[
        Mode,
        typer.Option(
            help="step: forward and backward; reuse: a step where malloc keeps freed memory; graph: CUDA only."
        ),
    ] = "step",
    implementation: Annotated[list[str] | None, typer.Option(help="Only these; repeat for several.")] = None,
    maker: Annotated[str, typer.Option(help="How the inputs are drawn: normal, heavy_tailed, ...")] = "normal",
    reduction: Annotated[Reduction, typer.Option(help="As in torch.")] = "mean",
    json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Rank the implementations of one loss: time with its interval, share of the ceiling, error and memory."""
    import_torch()
    from lossimpl import get

    try:
        one = get(loss)
        case = case_of(one, shape or shape_text(one.shapes.default), dtype, device, mode, maker, reduction)
        names = chosen(one, implementation or [])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    rows = measure_all(case, names, quiet=json)
    if json:
        typer.echo(json_module.dumps([asdict(row) for row in rows], indent=2))
    else:
        show(case, one, rows)
    if any(row.status in ("wrong", "error", "impossible") for row in rows) or not any(
        row.status == "ok" for row in rows
    ):
        raise typer.Exit(1)


def shape_text(shape: Shape) -> str:
    """A shape as the option takes it: `512x32000`."""
    return "x".join(map(str, shape))


def case_of(loss: Loss, shape: str, dtype: str, device: str, mode: str, maker: str, reduction: str) -> Case:
    """The case that the options describe; ValueError names the option that does not fit."""
    if maker not in loss.makers:
        raise ValueError(f"--maker {maker!r}: it must be one of {', '.join(loss.makers)}")
    sizes = shape.split("x")
    if not all(size.isdigit() and int(size) > 0 for size in sizes):
        raise ValueError(f"--shape {shape!r}: it must be positive numbers joined by x, such as 512x32000")
    if len(sizes) < loss.shapes.least_dimensions:
        example = shape_text(loss.shapes.default)
        raise ValueError(
            f"--shape {shape!r}: {loss.name} needs {loss.shapes.least_dimensions} dimensions, such as {example}"
        )
    return Case(loss.name, tuple(map(int, sizes)), dtype, device, mode, (("reduction", reduction),), maker)


def chosen(loss: Loss, names: list[str]) -> list[str]:
    """The implementations asked for, or all; ValueError names those that exist."""
    for name in names:
        if name not in loss.implementations:
            known = ", ".join(loss.implementations)
            raise ValueError(f"--implementation {name!r}: {loss.name} has {known}")
    return names or list(loss.implementations)


def measure_all(case: Case, names: list[str], quiet: bool) -> list[Row]:
    """Measure one implementation after the other, saying which."""
    from rich.console import Console

    from lossimpl.measure.types import Rule
    from lossimpl.row import measure

    rule = Rule(max_seconds=BUDGET / len(names) / 2)
    rows = []
    with Console(stderr=True).status("") as status:
        for name in names:
            if not quiet:
                status.update(f"measuring {name} of {case.loss} {case.shape_text} {case.dtype} {case.mode}")
            rows.append(measure(case, name, rule))
    return rows


def show(case: Case, loss: Loss, rows: list[Row]) -> None:
    """The ranked table, the ceiling that shares refer to, and the result in a sentence."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=max(112, Console().width))
    timed = ranked(rows)
    console.print(f"[bold]{case.loss}[/bold]  {loss.formula}")
    title = f"{case.shape_text} {case.dtype} on {case.device}, {case.mode}, {case.maker} inputs"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    time = f"time ({wording.INTERVAL})"
    for heading in ("", "implementation", time, "torch takes", "of ceiling", "error", "peak", "saved"):
        table.add_column(heading, justify="left" if heading == "implementation" else "right", no_wrap=True)
    torch = next((one.time.value for one in timed if one.row.implementation == "torch"), None)
    for one in timed:
        table.add_row(str(one.rank), one.row.implementation, *cells(one.row, one.time, torch))
    console.print(table)
    for one in timed[:1]:
        rate = wording.rate(one.row.ceiling)
        console.print(f"ceiling: {one.row.ceiling_name} at {rate} in {one.row.level}")
    for row in rows:
        if row.status != "ok":
            console.print(f"  {row.implementation}: [yellow]{row.status}[/yellow], {row.reason}")
    console.print(reading(timed))
    console.print(
        "[dim]torch takes: torch's time relative to this one's. error: largest relative error of value or gradient "
        "against float64. peak, saved: bytes allocated in a call, bytes kept for backward.[/dim]"
    )


class Ranked(NamedTuple):
    """A correct row with its median time and its rank; tied rows share a rank."""

    rank: int
    row: Row
    time: Interval


def ranked(rows: list[Row]) -> list[Ranked]:
    """The correct rows that were timed, fastest first."""
    correct = [(row, median_interval(row.samples)) for row in rows if row.status == "ok"]
    ranks = ranking.ranks([time for _, time in correct])
    found = [Ranked(rank, row, time) for rank, (row, time) in zip(ranks, correct, strict=True)]
    return sorted(found, key=lambda one: one.time.value)


def cells(row: Row, time: Interval, torch: float | None) -> list[str]:
    """Time with its interval, torch's time relative to it, share of the ceiling, error, peak memory, bytes saved."""
    agreement = row.agreement or {}
    worst = max(agreement.get("value_max_rel") or 0.0, agreement.get("grad_max_rel") or 0.0)
    return [
        f"{wording.seconds(time.value)} ({wording.interval(*time)})",
        wording.times(torch and torch / time.value),
        wording.percent(row.share),
        wording.error(worst),
        wording.size(row.peak_bytes),
        wording.size(row.saved_bytes),
    ]


def reading(timed: list[Ranked]) -> str:
    """One sentence: what to run."""
    if not timed:
        return "No implementation could be measured."
    return f"{wording.fastest([one.row.implementation for one in timed if one.rank == 1])}."
