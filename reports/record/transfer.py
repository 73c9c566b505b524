"""Results brought from where all machines keep them and sent there: a branch of a git remote, or a shared folder.

Everything goes through an outbox (`reports.record.outbox`) under the user's state, so that what a failed push did not
send goes with the next one, whatever happens to the checkout in between.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from filelock import FileLock, Timeout

from lossimpl.machine import state
from lossimpl.measure import wall
from reports.record.git import GitFailed, git
from reports.record.outbox import FORMAT, INCOMING, OUTBOX, SEEN, VERSION, Outbox, Tree

DEFAULT = "origin#results"
TRIES = 12  # of a push that other machines' pushes keep overtaking
RACED = re.compile(r"\[rejected\]|fetch first|non-fast-forward|cannot lock ref|failed to update ref|reference already")
Rewritten = Literal["restore", "accept"]


class Unsent(RuntimeError):
    """The remote cannot be reached, or refuses; what is kept goes with the next push."""


class Undecided(RuntimeError):
    """The remote holds what only a person can decide about: a rewritten branch, or a newer version."""


class Raced(RuntimeError):
    """Another machine pushed in between."""


class Remote(Protocol):
    """Where all machines keep their results."""

    @property
    def name(self) -> str:
        """What it is called in messages: the setting."""

    def fetch(self, outbox: Outbox) -> str:
        """The newest commit there, whose objects are in the outbox now; empty if there is none yet."""

    def send(self, outbox: Outbox, commit: str) -> None:
        """Make a commit that follows the newest one the newest; raises `Raced` if it does not follow it any more."""


@dataclass(frozen=True)
class Branch:
    """A branch of a git remote."""

    url: str
    branch: str
    name: str

    def fetch(self, outbox: Outbox) -> str:
        held = git(outbox.folder, "ls-remote", "--heads", self.url, f"refs/heads/{self.branch}")
        if not held:
            return ""
        git(outbox.folder, "fetch", "--quiet", "--no-tags", self.url, f"+refs/heads/{self.branch}:{INCOMING}")
        return outbox.commit_of(INCOMING)

    def send(self, outbox: Outbox, commit: str) -> None:
        try:
            git(outbox.folder, "push", "--porcelain", self.url, f"{commit}:refs/heads/{self.branch}")
        except GitFailed as failure:
            if RACED.search(failure.output):
                raise Raced from failure
            raise


@dataclass(frozen=True)
class Folder:
    """A folder that all machines see; its files are those of a branch."""

    path: Path
    name: str

    def fetch(self, outbox: Outbox) -> str:
        if not self.path.is_dir():
            raise GitFailed(f"{self.path} is no folder; make it, or mount what it is on")
        seen = outbox.commit_of(SEEN)
        if seen and not (self.path / FORMAT).exists():
            raise GitFailed(f"{self.path} is empty, but held results before; mount what it is on")
        held = outbox.taken(self.path)
        if (self.path / FORMAT).exists():
            held[FORMAT] = outbox.write((self.path / FORMAT).read_bytes())
        known = {path: blob for path, blob in outbox.tree(seen).items() if path == "README.md"}
        return outbox.commit(known | held, seen) if held else ""

    def send(self, outbox: Outbox, commit: str) -> None:
        with FileLock(self.path / ".lossimpl-lock", timeout=600):
            if self.fetch(outbox) != outbox.commit_of(SEEN):
                raise Raced
            outbox.give(self.path)
            (self.path / FORMAT).write_text(f"{VERSION}\n")


def remote(setting: str, root: Path) -> Remote:
    """The remote that a setting names: `REMOTE#BRANCH` with a git remote's name or address, or a folder.

    Raises ValueError for a setting that is neither, or a remote that the checkout does not have.
    """
    where, hash_sign, branch = setting.rpartition("#")
    if setting and not hash_sign:
        return Folder(Path(setting).expanduser().absolute(), setting)
    if not where or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", branch) or where.startswith("-"):
        raise ValueError(f"expected REMOTE#BRANCH, such as {DEFAULT}, or a folder; got {setting!r}")
    if re.search(r"[:/]", where):
        return Branch(where, branch, setting)
    try:
        return Branch(git(root, "remote", "get-url", where).decode().strip(), branch, setting)
    except GitFailed as failure:
        raise ValueError(f"{setting!r}: {failure}; `git remote -v` lists the remotes of this checkout") from failure


def outbox_of(there: Remote) -> Outbox:
    """Where results wait for a remote, below the user's state."""
    identity = f"{there.url}#{there.branch}" if isinstance(there, Branch) else str(there)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return Outbox(state() / "results" / f"{digest}.git")


def pull(there: Remote, results: Path, rewritten: Rewritten | None = None) -> int:
    """Bring what is there into results/, where nothing is lost; return how many files changed."""
    return _guarded(there, results, lambda outbox: _pulled(there, outbox, results, rewritten))


def push(there: Remote, results: Path, rewritten: Rewritten | None = None) -> int:
    """Send what is new in results/, and what earlier pushes could not send; return how many files changed there."""
    return _guarded(there, results, lambda outbox: _pushed(there, outbox, results, rewritten))


def _guarded(there: Remote, results: Path, work: Callable[[Outbox], int]) -> int:
    try:
        outbox = outbox_of(there)
        with outbox.locked():
            return work(outbox)
    except (GitFailed, Timeout, OSError, Raced) as failure:
        reason = "other machines push all the time" if isinstance(failure, Raced) else str(failure).splitlines()[0]
        raise Unsent(f"{there.name}: {reason}; the rows stay here and go with the next push") from failure


def _pulled(there: Remote, outbox: Outbox, results: Path, rewritten: Rewritten | None) -> int:
    changed = outbox.give(results)  # also without a network: what was seen before is here
    before = outbox.commit_of(OUTBOX)
    _receive(there, outbox, rewritten)
    return changed + (outbox.give(results) if outbox.commit_of(OUTBOX) != before else 0)


def _pushed(there: Remote, outbox: Outbox, results: Path, rewritten: Rewritten | None) -> int:
    outbox.keep(results)  # before the remote is asked: from here on nothing is lost
    for attempt in range(TRIES):
        _receive(there, outbox, rewritten)
        commit, seen = outbox.commit_of(OUTBOX), outbox.commit_of(SEEN)
        if commit == seen:
            return 0
        before, after = outbox.tree(seen), outbox.tree(commit)
        try:
            there.send(outbox, commit)
        except Raced:
            wall.sleep(random.uniform(0, 0.1 * 2 ** min(attempt, 6)))
            continue
        outbox.point(seen=commit)
        return sum(before.get(path) != blob for path, blob in after.items())
    raise Raced


def _receive(there: Remote, outbox: Outbox, rewritten: Rewritten | None) -> None:
    """Fetch, and put what is not sent yet after what is there."""
    newest, seen = there.fetch(outbox), outbox.commit_of(SEEN)
    if newest == seen:
        return
    held = outbox.tree(newest)
    _require_version(there, outbox, held)
    base = outbox.tree(seen)
    if seen and not (newest and _follows(outbox, newest, seen)):
        if rewritten is None:
            raise Undecided(_question(there, seen))
        base = {} if rewritten == "restore" else base
    ours = outbox.tree(outbox.commit_of(OUTBOX))
    unsent = {path: blob for path, blob in ours.items() if base.get(path) != blob}
    outbox.point(outbox=outbox.commit(outbox.joined(held, unsent), newest), seen=newest)


def _follows(outbox: Outbox, newer: str, older: str) -> bool:
    try:
        git(outbox.folder, "merge-base", "--is-ancestor", older, newer)
    except GitFailed:
        return False
    return True


def _require_version(there: Remote, outbox: Outbox, held: Tree) -> None:
    text = outbox.read(held[FORMAT]).decode(errors="replace").strip() if FORMAT in held else str(VERSION)
    if text != str(VERSION):
        raise Undecided(f"{there.name}: holds results of version {text:.20}, this checkout reads {VERSION}; update it")


def _question(there: Remote, seen: str) -> str:
    return (
        f"{there.name}: was rewritten, and lacks commit {seen[:8]} that was seen there; the rows are kept here. "
        "--rewritten restore adds what it lost, --rewritten accept takes it as it is"
    )
