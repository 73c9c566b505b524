"""`lossimpl compare LOSS`: ranked tables of its cases, measured here and now, each within a minute."""

from __future__ import annotations

import json as json_module
import sys
from itertools import product
from typing import TYPE_CHECKING, Annotated

import typer

from lossimpl.spec import DTYPES, Device, Mode, Reduction
from lossimpl.terminal import console, import_torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from lossimpl.comparison import Comparison, Say
    from lossimpl.forks import Server
    from lossimpl.spec import Case, Loss

FILES = ".pt or .pth (torch.load with weights_only), .npz (without pickled objects)"


def compare(
    loss: Annotated[str, typer.Argument(help="A loss; `lossimpl list` shows them.")],
    shape: Annotated[
        list[str] | None,
        typer.Option(help="Shape of the first tensor, such as 512x32000; repeat for several. Default: a large one."),
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(help=f"Type of the tensors: {', '.join(DTYPES)}; repeat for several. Default: float32."),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to run.")] = "cpu",
    mode: Annotated[
        Mode,
        typer.Option(
            help="step: forward and backward; reuse: a step where malloc keeps freed memory; graph: CUDA only."
        ),
    ] = "step",
    implementation: Annotated[list[str] | None, typer.Option(help="Only these; repeat for several.")] = None,
    maker: Annotated[str, typer.Option(help="How the inputs are drawn: normal, heavy_tailed, ...")] = "normal",
    inputs: Annotated[
        str,
        typer.Option(
            help=f"Your own tensors, by the names of the loss's arguments: a file {FILES}, "
            "or module:function, which is imported and called."
        ),
    ] = "",
    reduction: Annotated[Reduction, typer.Option(help="As in torch.")] = "mean",
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="An option of the loss, such as label_smoothing=0.1 or weight=random; repeat for several.",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="At least so many; 4 support an interval.", min=1)] = 5,
    json: Annotated[
        bool, typer.Option("--json", help="Print the rows as JSON, which `lossimpl replay` reads.")
    ] = False,
) -> None:
    """Rank the implementations of one loss: time, paired ratios with intervals, share of the ceiling, error and memory.

    Each round is a fresh process in which all implementations take turns; disturbed rounds are repeated. One table
    per shape and dtype. Exit code 1 if a row is wrong, impossible or failed, or if none could be ranked.
    """
    from lossimpl.forks import Server

    with Server() as server:  # it imports torch while we do
        import_torch()
        from lossimpl import get

        try:
            one = get(loss)
            names, cases = asked(
                server, one, implementation, inputs, shape, dtype, device, mode, maker, reduction, option
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        found = [measured(server, case, names, rounds, show=None if json else one) for case in cases]
    if json:
        typer.echo(json_module.dumps([row for each in found for row in each.stored()], indent=2))
    elif any(each.ranked for each in found):
        legend()
    if any(failed(each) for each in found):
        raise typer.Exit(1)


def asked(
    server: Server,
    loss: Loss,
    implementation: list[str] | None,
    inputs: str,
    shapes: list[str] | None,
    dtypes: list[str] | None,
    device: str,
    mode: str,
    maker: str,
    reduction: str,
    option: list[str] | None,
) -> tuple[list[str], list[Case]]:
    """The implementations and the cases that the options describe, for which the server is prepared."""
    from lossimpl import comparison, given, machine
    from lossimpl.spec import Case

    machine.name()  # refused before anything is measured
    names = given.implementations(loss, implementation or loss.implementations)
    options = {**given.options_of(loss, option or []), "reduction": reduction}
    tensors: dict[str, Tensor] = {}
    if inputs:
        if shapes or dtypes or maker != "normal":
            raise ValueError("--shape, --dtype, --maker: with --inputs they follow from the tensors")
        case, tensors = given.case_of_tensors(loss, given.load(inputs, loss), mode, options, device)
        cases = [case]
    else:
        cases = [
            given.drawn(Case(loss.name, size, dtype, device, mode, tuple(sorted(options.items())), maker))
            for size, dtype in product(
                dict.fromkeys(given.shape_of(loss, text) for text in shapes or [""]),
                given.dtypes(dtypes or ["float32"]),
            )
        ]
    comparison.prepare(server, loss, names, tensors=tensors)
    return names, cases


def measured(server: Server, case: Case, names: list[str], rounds: int, show: Loss | None) -> Comparison:
    """The rows of one case, shown as soon as they are known if `show` is the loss."""
    from lossimpl import comparison

    say, clear = speaker()
    found = comparison.finished(case, comparison.measured(server, case, names, rounds, say))
    clear()
    if show:
        out = console()
        out.print(f"[bold]{case.loss}[/bold]  {show.formula}", highlight=False)
        for part in found.rendered(out.width):
            out.print(part)
        out.print()
    return found


def speaker() -> tuple[Say, Callable[[], object]]:
    """What shows progress on stderr, in one line that is replaced if it is a terminal; and what clears that line."""
    err = console(stderr=True)

    def say(text: str) -> None:
        if err.is_terminal:
            print(f"\r\x1b[K{text[: err.width - 1]}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    return say, lambda: say("") if err.is_terminal else None


def legend() -> None:
    """What the columns mean."""
    from lossimpl import ranked

    console().print(f"[dim]{ranked.LEGEND}[/dim]", highlight=False)


def failed(found: Comparison) -> bool:
    """Whether a row is wrong, impossible or failed, or none was ranked."""
    return not found.ranked or any(row.status in ("wrong", "error", "impossible") for row in found.rows)
