"""Which commits a night measures: those after the last one that this machine has results of."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

MOST_COMMITS = 8  # per night; a longer gap is sampled evenly, its newest commit included
DIGITS = 8  # of a commit in the names of result files


class Unmeasured(RuntimeError):
    """A step of the night failed; the message says which, with the end of its output."""


def history(root: Path) -> list[str]:
    """The first eight digits of every commit of the branch, oldest first."""
    done = subprocess.run(
        ["git", "rev-list", "--reverse", "--first-parent", "HEAD"], cwd=root, capture_output=True, text=True
    )
    if done.returncode:
        raise Unmeasured(f"git has no history here: {done.stderr.strip()}")
    return [commit[:DIGITS] for commit in done.stdout.split()]


def measured(folder: Path) -> set[str]:
    """The commits that a machine's folder has results of."""
    return {path.name[:DIGITS] for path in folder.glob("*.json") if path.name[DIGITS : DIGITS + 1] == "-"}


def unfinished(root: Path, machine: str) -> set[str]:
    """The commits whose measurement was interrupted; it continues with the rows that are missing."""
    prefix = f"unfinished-{machine}-"
    return {path.name.removeprefix(prefix)[:DIGITS] for path in (root / ".asv").glob(f"{prefix}*")}


def new_commits(root: Path, known: set[str]) -> list[str]:
    """The commits after the last known one, oldest first, at most `MOST_COMMITS`; only HEAD if none is known."""
    order = history(root)
    last = max((index for index, commit in enumerate(order) if commit in known), default=len(order) - 2)
    return evenly(order[max(last, -1) + 1 :], MOST_COMMITS)


def skipped(order: Sequence[str], known: set[str], commits: Sequence[str]) -> list[str]:
    """The commits between those of a night that it leaves out, since there are too many."""
    if not commits or not known & {*order}:
        return []
    since = max(
        (index for index, commit in enumerate(order) if commit in known and commit not in commits), default=len(order)
    )
    return [commit for commit in order[since + 1 :] if commit not in commits]


def evenly(commits: Sequence[str], most: int) -> list[str]:
    """At most that many of the commits, evenly spaced, the newest included.

    >>> evenly("abcdefghij", 4)
    ['a', 'd', 'g', 'j']
    """
    if len(commits) <= most:
        return list(commits)
    return [commits[round(index * (len(commits) - 1) / (most - 1))] for index in range(most)]
