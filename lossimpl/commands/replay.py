"""`lossimpl replay FILE --row N`: measure one stored number again, here and now, and judge whether it is reproduced."""

from __future__ import annotations

import inspect
import json
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossimpl import files, stored
from lossimpl.terminal import console, import_torch

if TYPE_CHECKING:
    from lossimpl.replaying import Judgement, Stored
    from lossimpl.row import Row

Record = dict[str, Any]
BROKEN = (OSError, ValueError, EOFError, zlib.error)  # errors of JSON and of UTF-8 are ValueErrors
HEAD = ("loss", "implementation", "shape", "dtype", "device", "mode", "status")


def replay(
    file: Annotated[
        Path, typer.Argument(help="Rows as a sweep keeps them, or as `lossimpl compare --json` prints.", dir_okay=False)
    ],
    row: Annotated[int, typer.Option(help="Which row, counted from 1; 0 lists them.")] = 0,
    rounds: Annotated[int, typer.Option(help="Undisturbed rounds, each a fresh process, 6 s apart.", min=4)] = 20,
) -> None:
    """Measure one stored row again and say whether its time, its status and its agreement are reproduced.

    New rounds are compared with the stored ones by equivalence, at 95 %. On the machine that measured the row, times
    are compared, allowing for what slowed down all implementations of the case; on another one the ratio to torch and
    the share of the ceiling. It takes about two minutes.

    Exit codes: 0 reproduced; 1 not reproduced; 3 inconclusive, or not comparable; 2 a wrong option, name or file.
    """
    records = load(file)
    if row == 0:
        for number, record in enumerate(records, 1):
            typer.echo(f"{number:5}  {title(record)}")
        return
    if not 1 <= row <= len(records):
        raise typer.BadParameter(f"--row {row}: {file.name} holds rows 1 to {len(records)}")
    try:
        chosen = stored.row_of(records[row - 1])
    except ValueError as error:
        raise typer.BadParameter(f"{file.name}, row {row}: {error}") from error
    typer.echo(title(records[row - 1]))
    for line in environment_lines(records[row - 1], manifests(file)):
        typer.echo(line)
    judgement = judged(row_to_replay(file, records[row - 1], chosen, readable(records)), rounds)
    for line in (*judgement.lines, judgement.verdict):
        typer.echo(line)
    from lossimpl.replaying import EXIT_CODES

    if code := EXIT_CODES[judgement.verdict]:
        raise typer.Exit(code)


def load(file: Path) -> list[Record]:
    """The rows of losses in a file."""
    try:
        records = stored.records(file)
    except BROKEN as error:
        raise typer.BadParameter(f"{file}: {error}") from error
    if not records:
        raise typer.BadParameter(f"{file}: no row of a loss; loader rows are replayed by `lossimpl loaders`")
    return records


def readable(records: list[Record]) -> list[Row]:
    """The rows that are valid; the others cannot be measured beside one."""
    found = []
    for record in records:
        try:
            found.append(stored.row_of(record))
        except ValueError:
            continue
    return found


def row_to_replay(file: Path, record: Record, row: Row, rows: list[Row]) -> Stored:
    """The row with its companions. Results are kept in a folder of the machine's name, `compare --json` writes it."""
    from lossimpl import machine
    from lossimpl.replaying import Stored, companions

    return Stored(row, companions(row, rows), record.get("machine", file.absolute().parent.name) == machine.name())


def judged(row: Stored, rounds: int) -> Judgement:
    """Measure the row again in processes of a server of its own."""
    from lossimpl.forks import Server
    from lossimpl.replaying import measured

    with Server() as server:
        import_torch()
        from lossimpl import comparison, registry

        try:
            loss = registry.get(row.row.loss)
            names = [one.implementation for one in (row.row, *row.beside)]
            if row.row.implementation not in loss.implementations:
                raise ValueError(f"{loss.name} has {', '.join(loss.implementations)}, not {row.row.implementation}")
            if row.row.maker not in (*loss.makers, "given"):
                raise ValueError(f"{loss.name} has no maker {row.row.maker!r}: {', '.join(loss.makers)}")
            unknown = {*row.row.options} - {*inspect.signature(loss.check).parameters}
            if unknown:
                raise ValueError(f"{loss.name} has no option {', '.join(sorted(unknown))}")
            comparison.prepare(server, loss, [name for name in names if name in loss.implementations])
        except ValueError as error:
            raise typer.BadParameter(f"this row cannot be measured here: {error}") from error
        return measured(server, [row], rounds, say)[0].judgement()


def say(text: str) -> None:
    """Show progress, if anybody is looking."""
    if console(stderr=True).is_terminal:
        print(f"\r\x1b[K{text}\r", end="", file=sys.stderr, flush=True)


def manifests(file: Path) -> dict[str, Record]:
    """The manifests beside a file of rows, by their identity."""
    name = file.name.removesuffix(".gz").removesuffix(".zst")
    beside = file.with_name(name.replace(".rows.jsonl", ".manifest.jsonl"))
    if beside.name == name or not beside.exists():
        return {}
    try:
        found = [json.loads(line) for line in files.lines(beside.resolve()) if line.strip()]
        return {manifest["id"]: manifest for manifest in found}
    except (*BROKEN, KeyError, TypeError) as error:
        raise typer.BadParameter(f"{beside}: no manifests, {error}") from error


def title(record: Record) -> str:
    """The row in one line."""
    return " ".join(str(record.get(name, "?")) for name in HEAD)


def environment_lines(record: Record, known: dict[str, Record]) -> list[str]:
    """How the environment differs from the one that the row was measured in, one line per field."""
    from lossimpl import environment

    now = environment.manifest()
    then = known.get(str(record.get("manifest", "")))
    if record.get("manifest") == now["id"]:
        return ["environment: the same"]
    if then is None:
        return ["environment: not recorded for the stored row; a difference cannot be attributed"]
    found = environment.differences(then, now)
    if not found:
        return ["environment: the same"]
    return ["environment: differs, which may explain a difference", *(f"  {n}: {a} -> {b}" for n, a, b in found)]
