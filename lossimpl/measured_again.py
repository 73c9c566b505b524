"""Stored rows measured again in processes of their own: with the installed code, or with that of their commit.

A commit is built as the gate builds a side of a comparison, with the packages that are installed now.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lossimpl import building, comparison, environment, lookup, overlay, registry
from lossimpl.building import Unmeasurable
from lossimpl.forks import Server
from lossimpl.judgement import NOT_COMPARABLE, Judgement
from lossimpl.lookup import Entry
from lossimpl.replayable import Stored, stored_row
from lossimpl.replaying import judgements, refusal, say

NATIVE = "from lossimpl import registry; registry.get('mse_loss').implementations['native'].load('cpu')"


def replayed(
    chosen: list[Entry], entries: list[Entry], rounds: int, at_commit: bool
) -> Iterator[tuple[Entry, Judgement]]:
    """Each row with its judgement; with `at_commit` those of one commit after those of another."""
    if not at_commit:
        yield from zip(chosen, judged([stored_row(one, entries) for one in chosen], rounds), strict=True)
        return
    for commit in dict.fromkeys(map(commit_of, chosen)):
        rows = [one for one in chosen if commit_of(one) == commit]
        try:
            found = judged_at(commit, [stored_row(one, entries) for one in rows], rounds)
        except Unmeasurable as error:
            found = [Judgement(NOT_COMPARABLE, (str(error),))] * len(rows)
        yield from zip(rows, found, strict=True)


def judged(rows: list[Stored], rounds: int, strict: bool = False) -> list[Judgement]:
    """Measure rows again with the installed code; those that it cannot measure say why, and are refused if `strict`."""
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
    """Measure rows again with the code of a commit; Unmeasurable says why it cannot be."""
    say(f"building commit {commit[:8]}")
    with server_at(Path.cwd(), commit) as server:
        return judgements(server, server.known(), rows, [""] * len(rows), rounds)


@contextmanager
def server_at(repository: Path, revision: str) -> Iterator[Server]:
    """A server that measures rounds with the package of a commit, which is built in a folder of its own.

    Unmeasurable says why there is none: the commit is unknown, it does not build, or its rows had no rounds yet.
    """
    commit = building.commit_of(repository, revision)
    with tempfile.TemporaryDirectory(prefix="replay-", ignore_cleanup_errors=True) as folder:
        python = _built(repository, commit, Path(folder))
        variables = building.clean_environment({"ASV_COMMIT": commit})
        with suppress(Unmeasurable):  # the rows of native say why
            building.checked([python, "-P", "-c", NATIVE], "build the native kernels", variables)
        with Server(python, variables) as server:
            try:
                server.known()
            except OSError as error:
                raise Unmeasurable(f"commit {commit[:8]} cannot be imported: {error}") from error
            yield server


def _built(repository: Path, commit: str, place: Path) -> Path:
    building.export(repository, commit, place / "source")
    if not (place / "source" / "lossimpl" / "rounds.py").exists():
        raise Unmeasurable(f"commit {commit[:8]} measures no rounds, since it has no lossimpl/rounds.py")
    return building.install(f"commit {commit[:8]}", place, overlay.running())


def commit_of(entry: Entry) -> str:
    """The commit of a row; without one it cannot be built."""
    commit = str(entry.placed["commit"] or "")
    if not commit:
        raise lookup.Unusable(f"{entry.place}: the row names no commit, and so does its file; --at-commit needs one")
    return commit


def environment_lines(entry: Entry, at_commit: bool) -> list[str]:
    """How the environment differs from the one that the row was measured in, what explains most first."""

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
