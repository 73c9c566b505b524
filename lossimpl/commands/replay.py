"""`lossimpl replay ID`: measure one stored number again, here and now, and judge whether it is reproduced."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lossimpl import lookup, wording
from lossimpl.building import Unmeasurable
from lossimpl.lookup import Entry
from lossimpl.terminal import import_torch

if TYPE_CHECKING:
    from lossimpl.replayable import Stored

UNVERIFIED = "unverified, since it was written before rows had checksums"
EVERY = 10**9  # rows: more than any record has
CAUSES = 3  # differences of environment that are shown per row of many


def replay(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID|PATH|COMMIT",
            help="Id of a row, or its first digits. A file or folder: list its rows. A commit: with --all.",
        ),
    ],
    within: Annotated[
        Path, typer.Option("--in", help="Where the row is: a file of rows, a folder of results, or a site.")
    ] = Path("results"),
    rounds: Annotated[int, typer.Option(help="Undisturbed rounds, each a fresh process, 6 s apart.", min=4)] = 20,
    at_commit: Annotated[
        bool,
        typer.Option("--at-commit", help="Measure with the code of the row's commit, built from this git repository."),
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Replay the rows of a file, folder or commit: how many are reproduced?")
    ] = False,
    sample: Annotated[
        int, typer.Option(help="With --all: so many rows, drawn at random.", min=1, show_default="all")
    ] = EVERY,
    as_json: Annotated[
        Path | None,
        typer.Option("--json", help="With --all: file for the verdicts, replay.json of a machine's results."),
    ] = None,
) -> None:
    """Measure one stored row again and say whether its time, results, memory, status and agreement are reproduced.

    `lossimpl compare` prints the ids of its rows, which are kept, and pages have them in the details of each row. New
    rounds are compared with the stored ones by equivalence, at 95 %. On the machine that measured the row, times are
    compared, allowing for what slowed down the other implementations or a copy of memory, and value, gradients and
    memory must be the same; on another one the ratio to torch and the share of the ceiling. It takes about two minutes.

    By default the installed code is measured, so that a row of an older commit also shows what has changed since.
    With --at-commit its own code is built in a temporary folder, with the packages that are installed now.

    With --all, many rows are measured in turns, those of one case in the same rounds, and the share of the decided ones
    that are reproduced has the interval of Clopper and Pearson, at 95 %. The site shows the verdicts that --json writes
    to results/MACHINE/replay.json.

    Exit codes: 0 reproduced, or a share is known; 1 not reproduced, or a row was changed after it was written; 3
    inconclusive, or not comparable; 2 a wrong option, id or file, or the one row was changed after it was written.
    """
    for name, given in (("--json", as_json is not None), ("--sample", sample < EVERY)):
        if given and not every:
            raise typer.BadParameter("it belongs to --all, which is not given", param_hint=name)
    with refused():
        if every:
            code = replay_all(Path(what), within, Request(rounds, sample, at_commit, as_json))
        elif Path(what).exists():
            code = 0
            for one in entries_in(Path(what)):
                typer.echo(f"{one.id}  {one.title}")
        else:
            code = replay_one(looked_up(what, within), rounds, at_commit)
    if code:
        raise typer.Exit(code)


@contextmanager
def refused() -> Iterator[None]:
    """What is wrong with the row, its place or its commit ends the command in one line."""
    try:
        yield
    except (lookup.Unusable, Unmeasurable) as error:
        raise typer.BadParameter(str(error)) from error


def replay_one(chosen: Entry, rounds: int, at_commit: bool) -> int:
    """Measure a row again, say what was found, and return the exit code."""
    from lossimpl.judgement import EXIT_CODES
    from lossimpl.measured_again import commit_of, environment_lines, judged, judged_at
    from lossimpl.replayable import stored_row

    row = stored_row(chosen, lookup.found_in(chosen.file).entries)
    for line in (*about(chosen, row, rounds), *environment_lines(chosen, at_commit)):
        typer.echo(line)
    import_torch()
    (judgement,) = judged_at(commit_of(chosen), [row], rounds) if at_commit else judged([row], rounds, strict=True)
    for line in (*judgement.lines, judgement.verdict):
        typer.echo(line)
    return EXIT_CODES[judgement.verdict]


class Request(NamedTuple):
    """How many rows are measured again, in how many rounds, with which code, and where the verdicts are written."""

    rounds: int
    sample: int
    at_commit: bool
    file: Path | None


def replay_all(place: Path, within: Path, asked: Request) -> int:
    """Measure many rows again, say how many are reproduced, and return the exit code."""
    from lossimpl.measured_again import environment_lines, replayed
    from lossimpl.replayable import comparable

    entries = entries_in(place) if place.exists() else lookup.of_commit(str(place), found_in(within), within)
    altered, fit = [one for one in entries if one.fault], [one for one in entries if comparable(one)]
    for one in altered:
        typer.echo(f"{one.place}: {one.fault}")
    chosen = random.Random(0).sample(fit, min(asked.sample, len(fit)))
    bare = sum("checksum" not in one.record for one in chosen)
    typer.echo(f"{len(chosen)} of {len(fit)} rows that can be replayed, of {len(entries)} in all; unverified: {bare}")
    import_torch()
    rows = []
    for one, found in replayed(chosen, entries, asked.rounds, asked.at_commit):
        typer.echo(f"{one.id}  {one.title}: {found.verdict}")
        lines = [*found.lines, *environment_lines(one, asked.at_commit)[: 1 + CAUSES]]
        for line in lines if found.verdict != "reproduced" else ():
            typer.echo(f"{'':14}{line}")
        rows.append({"id": one.id, "title": one.title, "verdict": found.verdict, "lines": lines})
    if asked.file:
        write(asked, rows, comparable=len(fit), altered=len(altered))
    verdicts = Counter(str(one["verdict"]) for one in rows)
    typer.echo(wording.reproduced(verdicts, len(altered)))
    decided = verdicts["reproduced"] + verdicts["not reproduced"]
    return 1 if altered else 0 if decided else 3


def write(asked: Request, rows: list[dict[str, Any]], comparable: int, altered: int) -> None:
    """Write the verdicts as a document of this machine."""
    from lossimpl import environment, machine

    record = {
        "machine": machine.name(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": "" if asked.at_commit else environment.revision(),
        "rounds": asked.rounds,
        "sampled": len(rows),
        "comparable": comparable,
        "altered": altered,
        "rows": rows,
    }
    assert asked.file is not None
    asked.file.parent.mkdir(parents=True, exist_ok=True)
    asked.file.write_text(json.dumps(record, indent=1) + "\n")


def found_in(*places: Path) -> lookup.Found:
    """The rows in some places; what cannot be read there is named."""
    found = lookup.in_places(*places)
    for problem in found.problems:
        typer.echo(f"not read: {problem}", err=True)
    return found


def entries_in(place: Path) -> list[Entry]:
    """The rows of losses in a place."""
    return found_in(place).entries


def looked_up(digits: str, within: Path) -> Entry:
    """The row whose id begins with these digits, in a place or among those that `compare` kept."""
    if not lookup.DIGITS.fullmatch(digits):
        raise lookup.Unusable(f"{digits}: no such file or folder, and no id, which has 4 to 12 hexadecimal digits")
    places = [place for place in (within, lookup.kept()) if place.exists()] or [within]
    return lookup.by_id(digits, found_in(*places), within)


def about(entry: Entry, row: Stored, rounds: int) -> list[str]:
    """What was measured where, and what measuring it again takes."""
    from lossimpl.replaying import TURN

    place, session = entry.placed, entry.record.get("session") or "no session"
    words = "its checksum holds" if "checksum" in entry.record else UNVERIFIED
    names = wording.names([one.implementation for one in (row.row, *row.beside)])
    return [
        f"{entry.id}  {entry.title}",
        f"measured on {place['machine']} at commit {place['commit'] or 'unknown'}, {session}; {words}",
        f"needs {names} on {row.row.device}, and about {max(1, round(rounds * TURN / 60))} min",
    ]
