"""`lossimpl replay ID`: measure one stored number again, here and now, and judge whether it is reproduced."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossimpl import lookup, wording
from lossimpl.building import Unmeasurable
from lossimpl.lookup import Entry
from lossimpl.terminal import import_torch

if TYPE_CHECKING:
    from lossimpl.judgement import Judgement
    from lossimpl.replayable import Stored

UNVERIFIED = "unverified, since it was written before rows had checksums"
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
    ] = 10**9,
) -> None:
    """Measure one stored row again and say whether its time, results, memory, status and agreement are reproduced.

    `lossimpl compare` prints the ids of its rows, which are kept, and pages have them in the details of each row. New
    rounds are compared with the stored ones by equivalence, at 95 %. On the machine that measured the row, times are
    compared, allowing for what slowed down all implementations of the case, and value, gradients and memory must be
    the same; on another one the ratio to torch and the share of the ceiling. It takes about two minutes.

    By default the installed code is measured, so that a row of an older commit also shows what has changed since.
    With --at-commit its own code is built in a temporary folder, with the packages that are installed now.

    With --all, many rows are measured in turns, those of one case in the same rounds, and the share of the decided ones
    that are reproduced has the interval of Clopper and Pearson, at 95 %.

    Exit codes: 0 reproduced, or a share is known; 1 not reproduced, or a row was changed after it was written; 3
    inconclusive, or not comparable; 2 a wrong option, id or file, or the one row was changed after it was written.
    """
    with refused():
        if every:
            code = replay_all(Path(what), within, rounds, sample, at_commit)
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
    from lossimpl.replayable import stored_row

    row = stored_row(chosen, lookup.found_in(chosen.file).entries)
    for line in (*about(chosen, row, rounds), *environment_lines(chosen, at_commit)):
        typer.echo(line)
    import_torch()
    (judgement,) = judged_at(commit_of(chosen), [row], rounds) if at_commit else judged([row], rounds, strict=True)
    for line in (*judgement.lines, judgement.verdict):
        typer.echo(line)
    return EXIT_CODES[judgement.verdict]


def replay_all(place: Path, within: Path, rounds: int, sample: int, at_commit: bool) -> int:
    """Measure many rows again, say how many are reproduced, and return the exit code."""
    from lossimpl.replayable import comparable

    entries = entries_in(place) if place.exists() else lookup.of_commit(str(place), found_in(within), within)
    altered, fit = [one for one in entries if one.fault], [one for one in entries if comparable(one)]
    for one in altered:
        typer.echo(f"{one.place}: {one.fault}")
    chosen = random.Random(0).sample(fit, min(sample, len(fit)))
    bare = sum("checksum" not in one.record for one in chosen)
    typer.echo(f"{len(chosen)} of {len(fit)} rows that can be replayed, of {len(entries)} in all; unverified: {bare}")
    import_torch()
    verdicts = Counter[str]()
    for one, found in replayed(chosen, entries, rounds, at_commit):
        verdicts[found.verdict] += 1
        typer.echo(f"{one.id}  {one.title}: {found.verdict}")
        lines = (*found.lines, *environment_lines(one, at_commit)[: 1 + CAUSES])
        for line in lines if found.verdict != "reproduced" else ():
            typer.echo(f"{'':14}{line}")
    typer.echo(rate(verdicts, len(altered)))
    decided = verdicts["reproduced"] + verdicts["not reproduced"]
    return 1 if altered else 0 if decided else 3


def replayed(
    chosen: list[Entry], entries: list[Entry], rounds: int, at_commit: bool
) -> Iterator[tuple[Entry, Judgement]]:
    """Each row with its judgement; with `at_commit` those of one commit after those of another."""
    from lossimpl.replayable import stored_row

    if not at_commit:
        yield from zip(chosen, judged([stored_row(one, entries) for one in chosen], rounds), strict=True)
        return
    for commit in dict.fromkeys(map(commit_of, chosen)):
        rows = [one for one in chosen if commit_of(one) == commit]
        yield from zip(rows, judged_at(commit, [stored_row(one, entries) for one in rows], rounds), strict=True)


def rate(verdicts: Counter[str], altered: int) -> str:
    """The share of the decided rows that are reproduced, and how many rows are not decided.

    >>> rate(Counter({"reproduced": 18, "not reproduced": 2, "inconclusive": 5}), altered=1)
    'reproduced: 18 of 20 decided rows, 90 % (68 to 99 %); inconclusive: 5; not comparable: 0; altered: 1'
    """
    from lossimpl.ranking import proportion

    good, decided = verdicts["reproduced"], verdicts["reproduced"] + verdicts["not reproduced"]
    found = f"reproduced: {good} of {decided} decided rows"
    if decided:
        share = proportion(good, decided)
        found += f", {100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f} %)"
    others = (f"{name}: {verdicts[name]}" for name in ("inconclusive", "not comparable"))
    return "; ".join((found, *others, f"altered: {altered}"))


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


def commit_of(entry: Entry) -> str:
    """The commit of a row; without one it cannot be built."""
    commit = str(entry.placed["commit"] or "")
    if not commit:
        raise lookup.Unusable(f"{entry.place}: the row names no commit, and so does its file; --at-commit needs one")
    return commit


def judged(rows: list[Stored], rounds: int, strict: bool = False) -> list[Judgement]:
    """Measure rows again with the installed code; those that it cannot measure say why, and are refused if `strict`."""
    from lossimpl import comparison, registry
    from lossimpl.forks import Server
    from lossimpl.replaying import judgements, refusal

    reasons = [refusal(one.row) for one in rows]
    if strict and any(reasons):
        raise lookup.Unusable(f"this row cannot be measured here: {reasons[0]}")
    with Server() as server:
        for loss in dict.fromkeys(one.row.loss for one, why in zip(rows, reasons, strict=True) if not why):
            names = {row.implementation for one in rows for row in (one.row, *one.beside) if row.loss == loss}
            comparison.prepare(server, registry.get(loss), [*names & {*registry.get(loss).implementations}])
        known = {loss.name: [*loss.implementations] for loss in registry.LOSSES.values()}
        return judgements(server, known, rows, reasons, rounds)


def judged_at(commit: str, rows: list[Stored], rounds: int) -> list[Judgement]:
    """Measure rows again with the code of a commit."""
    from lossimpl.at_commit import server_at
    from lossimpl.replaying import judgements

    typer.echo(f"building commit {commit[:8]}, which takes minutes if its kernels are not built yet", err=True)
    with server_at(Path.cwd(), commit) as server:
        return judgements(server, server.known(), rows, [""] * len(rows), rounds)


def environment_lines(entry: Entry, at_commit: bool) -> list[str]:
    """How the environment differs from the one that the row was measured in, what explains most first."""
    from lossimpl import environment

    now = environment.manifest()
    then = lookup.manifests(entry.file).get(str(entry.record.get("manifest", "")))
    if then is None and entry.record.get("manifest") != now["id"]:
        return ["environment: not recorded for the stored row; a difference cannot be attributed"]
    found = environment.by_likelihood(environment.differences(then or now, now), entry.record)
    found = [one for one in found if not (at_commit and one[0] == "revision")]
    if not found:
        return ["environment: the same"]
    return [
        "environment: differs, which may explain a difference; the likeliest cause first",
        *(f"  {name}: {before} -> {after}" for name, before, after in found),
    ]
