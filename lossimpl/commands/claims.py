"""`lossimpl claims [NAME...]`: what textbooks say about losses and loading, each statement as an experiment."""

from __future__ import annotations

import json as json_module
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossimpl import claims as all_claims
from lossimpl.terminal import console, import_torch

if TYPE_CHECKING:
    from lossimpl.claims.support.verdict import Result


def claims(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which claims; default: all.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Only list the claims and their statements.")] = False,
    seed: Annotated[int, typer.Option(help="The first seed; the same seed gives the same bits.", min=0)] = 0,
    seeds: Annotated[int, typer.Option(help="How many seeds, to see whether the verdict depends on it.", min=1)] = 1,
    json: Annotated[Path | None, typer.Option(help="Write one JSON object per claim here.", dir_okay=False)] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Folder for criteria.csv and the numbers of each figure.", file_okay=False)
    ] = None,
) -> None:
    """Run the experiments and print each verdict with its effect sizes; exit code 1 if an experiment broke."""
    chosen = list(dict.fromkeys(names or all_claims.names()))
    if unknown := [name for name in chosen if name not in all_claims.names()]:
        raise typer.BadParameter(f"NAME {unknown[0]!r}: it must be one of {', '.join(all_claims.names())}")
    import_torch()
    if list_:
        _list(chosen)
        return
    found = _run_all(chosen, range(seed, seed + seeds), json)
    if csv:
        from lossimpl.claims.support import tables

        tables.write(csv, [one for results in found.values() for one in results])
    console().print(_summary(found), markup=False)
    if missing := [name for name in chosen if name not in found]:
        typer.echo(f"no result: {', '.join(missing)}", err=True)
        raise typer.Exit(1)


def _list(names: list[str]) -> None:
    for name in names:
        console().print(f"[bold]{name}[/bold]: {all_claims.get(name).statement}", highlight=False)


def _run_all(names: list[str], seeds: range, json: Path | None) -> dict[str, list[Result]]:
    """The results of each claim, one per seed, printed and written as they come; a broken experiment is reported."""
    import torch
    from rich.progress import track

    from lossimpl.claims.support.run import run
    from lossimpl.claims.support.verdict import record

    found: dict[str, list[Result]] = {}
    with json.open("w") if json else nullcontext() as file:
        for name in track(names, description="running experiments", console=console(stderr=True)):
            try:
                found[name] = [run(name, one) for one in seeds]
            except Exception as error:  # one experiment must not end the others
                typer.echo(f"{name}: {type(error).__name__}: {error}", err=True)
                continue
            _show(found[name])
            if file:
                held = record(found[name], all_claims.get(name), torch.__version__)
                print(json_module.dumps(held, ensure_ascii=False), file=file, flush=True)
    return found


def _show(results: list[Result]) -> None:
    """The verdict of the first seed with what each criterion found, and how many seeds agree."""
    first, out = results[0], console()
    out.print(
        f"\n[bold]{first.name}[/bold] ({first.seconds:.1f} s): {all_claims.get(first.name).statement}", highlight=False
    )
    for finding in first.findings:
        out.print(f"    {finding.words()}", markup=False)
    same = sum(one.words() == first.words() for one in results)
    agreement = f" ({same} of {len(results)} seeds)" if len(results) > 1 else ""
    out.print(f"  {first.words()}{agreement}", style="bold", markup=False)


def _summary(found: dict[str, list[Result]]) -> str:
    counts = Counter(results[0].verdict for results in found.values())
    took = sum(one.seconds for results in found.values() for one in results)
    return f"\n{', '.join(f'{count} {verdict}' for verdict, count in counts.items())}; {took:.0f} s"
