"""`lossimpl replay ID`: measure one stored number again, here and now, and judge whether it is reproduced."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossimpl import lookup, stored, wording
from lossimpl.lookup import Entry
from lossimpl.terminal import console, import_torch

if TYPE_CHECKING:
    from lossimpl.replaying import Judgement, Stored
    from lossimpl.row import Row

HEAD = ("loss", "implementation", "shape", "dtype", "device", "mode", "status")
SAME = ("machine", "commit", "session", "loss", "shape", "dtype", "device", "mode")  # of rows beside each other
UNVERIFIED = "unverified, since it was written before rows had checksums"


def replay(
    what: Annotated[
        str,
        typer.Argument(metavar="ID|PATH", help="Id of a row, or its first digits. A file or folder: list its rows."),
    ],
    within: Annotated[
        Path, typer.Option("--in", help="Where the row is: a file of rows, a folder of results, or a site.")
    ] = Path("results"),
    rounds: Annotated[int, typer.Option(help="Undisturbed rounds, each a fresh process, 6 s apart.", min=4)] = 20,
) -> None:
    """Measure one stored row again and say whether its time, its status and its agreement are reproduced.

    `lossimpl compare` prints the ids of its rows, which are kept, and pages have them in the details of each row. New
    rounds are compared with the stored ones by equivalence, at 95 %. On the machine that measured the row, times are
    compared, allowing for what slowed down all implementations of the case; on another one the ratio to torch and the
    share of the ceiling. It takes about two minutes.

    Exit codes: 0 reproduced; 1 not reproduced; 3 inconclusive, or not comparable; 2 a wrong option, id or file, or a
    row that was changed after it was written.
    """
    if Path(what).exists():
        for one in rows_in(Path(what)):
            typer.echo(f"{one.id}  {title(one)}")
        return
    chosen = looked_up(what, within)
    row = to_replay(chosen, lookup.found_in(chosen.file).entries)
    for line in (*about(chosen, row, rounds), *environment_lines(chosen)):
        typer.echo(line)
    judgement = judged(row, rounds)
    for line in (*judgement.lines, judgement.verdict):
        typer.echo(line)
    from lossimpl.replaying import EXIT_CODES

    if code := EXIT_CODES[judgement.verdict]:
        raise typer.Exit(code)


def rows_in(*places: Path) -> list[Entry]:
    """The rows of losses in some places; what cannot be read there is named."""
    found = [lookup.found_in(place) for place in places]
    problems = [problem for one in found for problem in one.problems]
    if not any(one.entries for one in found):
        where = wording.names([str(place) for place in places])
        raise typer.BadParameter("; ".join(problems) or f"{where}: no row of a loss; `lossimpl loaders` has its own")
    for problem in problems:
        typer.echo(f"not read: {problem}", err=True)
    return [entry for one in found for entry in one.entries]


def looked_up(digits: str, within: Path) -> Entry:
    """The row whose id begins with these digits, in a place or among those that `compare` kept."""
    if not lookup.DIGITS.fullmatch(digits):
        raise typer.BadParameter(f"{digits}: no such file or folder, and no id, which has 4 to 12 hexadecimal digits")
    places = [place for place in (within, lookup.kept()) if place.exists()] or [within]
    found = lookup.matching(digits, rows_in(*places))
    if not found:
        raise typer.BadParameter(f"{digits}: {within} has no row with this id; --in names another file or folder")
    if len(found) > 1:
        rows = "; ".join(f"{one.id} in {one.place}" for one in found[:5])
        raise typer.BadParameter(f"{digits}: {len(found)} rows have this id: {rows}")
    return found[0]


def title(entry: Entry) -> str:
    """The row in one line."""
    return " ".join(str(entry.record.get(name, "?")) for name in HEAD)


def to_replay(entry: Entry, entries: Iterable[Entry]) -> Stored:
    """The row with its companions among others, if it is valid and as it was written."""
    from lossimpl import machine
    from lossimpl.replaying import Stored, companions

    if entry.fault:
        raise typer.BadParameter(f"{entry.place}: {entry.fault}")
    try:
        row = stored.row_of(entry.record)
    except ValueError as error:
        raise typer.BadParameter(f"{entry.place}: {error}") from error
    return Stored(row, companions(row, [*beside(entry, entries)]), entry.placed["machine"] == machine.name())


def beside(entry: Entry, entries: Iterable[Entry]) -> Iterator[Row]:
    """The valid rows of the same case and session; the others cannot be measured beside one."""
    for one in entries:
        if all(one.placed.get(name) == entry.placed.get(name) for name in SAME) and not one.fault:
            try:
                yield stored.row_of(one.record)
            except ValueError:
                continue


def about(entry: Entry, row: Stored, rounds: int) -> list[str]:
    """What was measured where, and what measuring it again takes."""
    from lossimpl.replaying import TURN

    place, session = entry.placed, entry.record.get("session") or "no session"
    words = "its checksum holds" if "checksum" in entry.record else UNVERIFIED
    names = wording.names([one.implementation for one in (row.row, *row.beside)])
    return [
        f"{entry.id}  {title(entry)}",
        f"measured on {place['machine']} at commit {place['commit'] or 'unknown'}, {session}; {words}",
        f"needs {names} on {row.row.device}, and about {max(1, round(rounds * TURN / 60))} min",
    ]


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


def environment_lines(entry: Entry) -> list[str]:
    """How the environment differs from the one that the row was measured in, what explains most first."""
    from lossimpl import environment

    now = environment.manifest()
    try:
        then = lookup.manifests(entry.file).get(str(entry.record.get("manifest", "")))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if entry.record.get("manifest") == now["id"]:
        return ["environment: the same"]
    if then is None:
        return ["environment: not recorded for the stored row; a difference cannot be attributed"]
    found = environment.by_likelihood(environment.differences(then, now), entry.record)
    if not found:
        return ["environment: the same"]
    return [
        "environment: differs, which may explain a difference; the likeliest cause first",
        *(f"  {name}: {before} -> {after}" for name, before, after in found),
    ]
