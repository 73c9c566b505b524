"""`lossimpl replay ID`: measure one stored number again, here and now, and judge whether it is reproduced."""

from __future__ import annotations

import inspect
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
        typer.Argument(
            metavar="ID|PATH|COMMIT",
            help="Id of a row, or its first digits. A file or folder: list its rows. A commit: with --all.",
        ),
    ],
    within: Annotated[
        Path, typer.Option("--in", help="Where the row is: a file of rows, a folder of results, or a site.")
    ] = Path("results"),
    rounds: Annotated[int, typer.Option(help="Undisturbed rounds, each a fresh process, 6 s apart.", min=4)] = 20,
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

    With --all, many rows are measured in turns, those of one case in the same rounds, and the share of the decided ones
    that are reproduced has the interval of Clopper and Pearson, at 95 %.

    Exit codes: 0 reproduced, or a share is known; 1 not reproduced, or a row was changed after it was written; 3
    inconclusive, or not comparable; 2 a wrong option, id or file, or the one row was changed after it was written.
    """
    if every:
        code = replay_all(Path(what), within, rounds, sample)
    elif Path(what).exists():
        code = 0
        for one in rows_in(Path(what)):
            typer.echo(f"{one.id}  {title(one)}")
    else:
        code = replay_one(looked_up(what, within), rounds)
    if code:
        raise typer.Exit(code)


def replay_one(chosen: Entry, rounds: int) -> int:
    """Measure a row again, say what was found, and return the exit code."""
    row = to_replay(chosen, lookup.found_in(chosen.file).entries)
    for line in (*about(chosen, row, rounds), *environment_lines(chosen)):
        typer.echo(line)
    import_torch()
    if reason := refusal(row.row):
        raise typer.BadParameter(f"this row cannot be measured here: {reason}")
    (judgement,) = judged([row], rounds)
    for line in (*judgement.lines, judgement.verdict):
        typer.echo(line)
    from lossimpl.replaying import EXIT_CODES

    return EXIT_CODES[judgement.verdict]


def replay_all(place: Path, within: Path, rounds: int, sample: int) -> int:
    """Measure many rows again, say how many are reproduced, and return the exit code."""
    entries = rows_in(place) if place.exists() else of_commit(str(place), within)
    altered, fit = [one for one in entries if one.fault], [one for one in entries if comparable(one)]
    for one in altered:
        typer.echo(f"{one.place}: {one.fault}")
    chosen = random.Random(0).sample(fit, min(sample, len(fit)))
    bare = sum("checksum" not in one.record for one in chosen)
    typer.echo(f"{len(chosen)} of {len(fit)} rows that can be replayed, of {len(entries)} in all; unverified: {bare}")
    import_torch()
    verdicts = Counter[str]()
    for one, found in zip(chosen, judged([to_replay(one, entries) for one in chosen], rounds), strict=True):
        verdicts[found.verdict] += 1
        typer.echo(f"{one.id}  {title(one)}: {found.verdict}")
        for line in found.lines if found.verdict != "reproduced" else ():
            typer.echo(f"{'':14}{line}")
    typer.echo(rate(verdicts, len(altered)))
    decided = verdicts["reproduced"] + verdicts["not reproduced"]
    return 1 if altered else 0 if decided else 3


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


def of_commit(digits: str, within: Path) -> list[Entry]:
    """The rows of a commit in a place."""
    found = [one for one in rows_in(within) if same_commit(str(one.placed["commit"]), digits)]
    if not found:
        raise typer.BadParameter(f"{digits}: no such file or folder, and {within} has no row of such a commit")
    return found


def same_commit(one: str, other: str) -> bool:
    """Whether one hash begins with the other, of at least 7 digits.

    >>> same_commit("0123abcd", "0123abcd4567"), same_commit("0123abcd", "0123abc"), same_commit("0123abcd", "01")
    (True, True, False)
    """
    return min(len(one), len(other)) >= 7 and (one.startswith(other) or other.startswith(one))


def comparable(entry: Entry) -> bool:
    """Whether the row is valid, as it was written, and has what a comparison needs."""
    from lossimpl.replaying import obstacle

    try:
        return not entry.fault and not obstacle(stored.row_of(entry.record))
    except ValueError:
        return False


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


def refusal(row: Row) -> str:
    """Why the installed package cannot measure a row, or the empty string."""
    from lossimpl import registry

    try:
        loss = registry.get(row.loss)
    except ValueError as error:
        return str(error)
    if row.implementation not in loss.implementations:
        return f"{loss.name} has {', '.join(loss.implementations)}, not {row.implementation}"
    if row.maker not in (*loss.makers, "given"):
        return f"{loss.name} has no maker {row.maker!r}: {', '.join(loss.makers)}"
    unknown = {*row.options} - {*inspect.signature(loss.check).parameters}
    return f"{loss.name} has no option {', '.join(sorted(unknown))}" if unknown else ""


def judged(rows: Sequence[Stored], rounds: int) -> list[Judgement]:
    """Measure rows again in processes of a server of their own; those that cannot be measured here say why."""
    from lossimpl import comparison, registry
    from lossimpl.forks import Server
    from lossimpl.replaying import NOT_COMPARABLE, Judgement, measured

    reasons = [refusal(one.row) for one in rows]
    known = [one.installed(registry.get(one.row.loss)) for one, why in zip(rows, reasons, strict=True) if not why]
    with Server() as server:
        for loss in dict.fromkeys(one.row.loss for one in known):
            names = {row.implementation for one in known for row in (one.row, *one.beside) if row.loss == loss}
            comparison.prepare(server, registry.get(loss), [*names])
        found = iter(measured(server, known, rounds, say))
    return [Judgement(NOT_COMPARABLE, (why,)) if why else next(found).judgement() for why in reasons]


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
