"""`lossimpl compare LOSS`: a ranked table of one case, measured here and now, within a minute."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lossimpl.terminal import import_torch

if TYPE_CHECKING:
    from lossimpl.row import Row
    from lossimpl.spec import Case, Loss, Shape

BUDGET = 40.0  # seconds for all implementations, which leaves a third of a minute for compiling


def compare(
    loss: Annotated[str, typer.Argument(help="A loss; `lossimpl list` shows them.")],
    shape: Annotated[
        str, typer.Option(help="Shape of the first tensor, such as 512x32000; default: a large one.")
    ] = "",
    dtype: Annotated[str, typer.Option(help="float64, float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    mode: Annotated[
        str, typer.Option(help="forward, step, reuse (a step into kept memory), backward, or graph (CUDA).")
    ] = "step",
    implementation: Annotated[list[str] | None, typer.Option(help="Only these; repeat for several.")] = None,
    maker: Annotated[str, typer.Option(help="How the inputs are drawn: normal, heavy_tailed, ...")] = "normal",
    reduction: Annotated[str, typer.Option(help="mean, sum or none.")] = "mean",
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
    from lossimpl.spec import DEVICES, DTYPES, MODES, REDUCTIONS, Case

    allowed = {"dtype": DTYPES, "device": DEVICES, "mode": MODES, "reduction": REDUCTIONS, "maker": (*loss.makers,)}
    given = {"dtype": dtype, "device": device, "mode": mode, "reduction": reduction, "maker": maker}
    for name, value in given.items():
        if value not in allowed[name]:
            raise ValueError(f"--{name} {value!r}: it must be one of {', '.join(allowed[name])}")
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
    """The ranked table, the ceiling that it is held against, and the reading in a sentence."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=max(112, Console().width))
    timed = ranked(rows)
    console.print(f"[bold]{case.loss}[/bold]  {loss.formula}")
    title = f"{case.shape_text} {case.dtype} on {case.device}, {case.mode}, {case.maker} inputs"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("", "implementation", "time (95% interval)", "x torch", "of ceiling", "error", "peak", "saved"):
        table.add_column(heading, justify="left" if heading == "implementation" else "right", no_wrap=True)
    base = next((middle(row) for row in timed if row.implementation == "torch"), None)
    for place, row in zip(places(timed), timed, strict=True):
        table.add_row(place, row.implementation, *cells(row, base))
    console.print(table)
    for row in timed[:1]:
        console.print(f"ceiling: {row.ceiling_name} at {(row.ceiling or 0) / 1e9:.1f} GB/s in {row.level}")
    for row in rows:
        if row.status != "ok":
            console.print(f"  {row.implementation}: [yellow]{row.status}[/yellow], {row.reason}")
    console.print(reading(timed))
    console.print(
        "[dim]x torch: torch's time over this one's. error: largest relative error of value or gradient against "
        "float64. peak, saved: bytes allocated in a call, bytes kept for backward.[/dim]"
    )


def ranked(rows: list[Row]) -> list[Row]:
    """The rows that were measured and are right, fastest first."""
    return sorted((row for row in rows if row.status == "ok"), key=middle)


def middle(row: Row) -> float:
    """The median of the row's samples, in seconds."""
    from lossimpl.measure.summary import median_interval

    return median_interval(row.samples)[0]


def places(rows: list[Row]) -> list[str]:
    """1, 1, 3: a row shares the place of the fastest before it whose interval it overlaps."""
    from lossimpl.measure.summary import median_interval

    found: list[str] = []
    reach = float("-inf")
    for index, row in enumerate(rows):
        _, low, high = median_interval(row.samples)
        if low > reach:
            reach = high
            found.append(str(index + 1))
        else:
            found.append(found[-1])
    return found


def cells(row: Row, base: float | None) -> list[str]:
    """Time with its interval, speed against torch, share of the ceiling, error, peak memory, bytes saved."""
    from lossimpl.measure.summary import median_interval

    median, low, high = median_interval(row.samples)
    agreement = row.agreement or {}
    worst = max(agreement.get("value_max_rel") or 0.0, agreement.get("grad_max_rel") or 0.0)
    return [
        f"{seconds(median)} ({seconds(low)} - {seconds(high)})",
        "" if base is None else f"{base / median:.2f}",
        "" if row.share is None else f"{row.share:.1%}",
        f"{worst:.1e}",
        size(row.peak_bytes),
        size(row.saved_bytes),
    ]


def seconds(value: float) -> str:
    """A time with three digits in the unit that suits it."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def size(count: int | None) -> str:
    """A number of bytes in binary units."""
    if count is None:
        return ""
    for factor, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"


def reading(rows: list[Row]) -> str:
    """One sentence: what to run."""
    if not rows:
        return "Nothing could be measured."
    first = [row.implementation for row, place in zip(rows, places(rows), strict=True) if place == "1"]
    if len(first) > 1:
        return f"Fastest: {' and '.join(first)}, which these samples cannot tell apart."
    return f"Fastest: {first[0]}."
