"""Results on their way: a bare git repository outside the checkout, which no cleaning of a work tree touches.

`refs/heads/outbox` is everything known: what was last seen at the remote, and after it what is still to be sent.
`refs/heads/seen` is what was last seen. Every change is one transaction of references after all objects are written, so
a process may be killed at any point: what was kept is sent the next time.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from lossimpl import files
from reports.record.git import GitFailed, git
from reports.record.union import union
from reports.record.units import UNFINISHED, stem_and_kind_of

Tree = dict[str, str]  # the id of each file's content by its path
OUTBOX, SEEN, INCOMING = "refs/heads/outbox", "refs/heads/seen", "refs/heads/incoming"
FORMAT, VERSION = "FORMAT", 1  # the file of a results branch that names the version of its layout
TRAVELS = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}/)[A-Za-z0-9_.+-]{1,200}\.(json|jsonl|jsonl\.gz|jsonl\.zst)")
README = """# Results

Everything that lossimpl measured, one folder per machine; docs/record.md of the project explains the files, and
`python -m reports record pull` brings them into a checkout. Machines push here; no person needs to.
"""


def travels(path: str) -> bool:
    """Whether a file under results/ is a finished result.

    >>> travels("bench/abafb5aa-py3.11.rows.jsonl"), travels("bench/abafb5aa-py3.11.rounds.jsonl"), travels("../a.json")
    (True, False, False)
    """
    if path == "benchmarks.json":
        return True
    kind = stem_and_kind_of(path.partition("/")[2])[1]
    unpacked = kind == "conformance" and path.endswith(".jsonl")  # of a run that was interrupted
    return TRAVELS.fullmatch(path) is not None and kind not in UNFINISHED and not unpacked


class Outbox:
    """The repository in `folder`, which is made if there is none. Used under `locked`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "HEAD").exists():
            folder.mkdir(parents=True, exist_ok=True)
            git(folder, "init", "--quiet", "--bare", ".")
        for name, value in (("gc.autoDetach", "false"), ("core.autocrlf", "false")):
            git(folder, "config", name, value)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; locks of git that a killed one left are removed."""
        with FileLock(self.folder / "only-writer", timeout=1800):
            for left in (*self.folder.glob("refs/**/*.lock"), *self.folder.glob("*.lock")):
                left.unlink()
            yield

    def commit_of(self, reference: str) -> str:
        """The commit of a reference, empty if there is none."""
        found = git(self.folder, "for-each-ref", "--format=%(objectname)", reference)
        return found.decode().strip()

    def tree(self, commit: str) -> Tree:
        """The regular files of a commit."""
        if not commit:
            return {}
        lines = git(self.folder, "ls-tree", "-r", "-z", "--full-tree", commit).decode(errors="replace").split("\0")
        found = (line.partition("\t") for line in lines if line)
        return {path: about.split()[2] for about, _, path in found if about.startswith("100")}

    def read(self, blob: str) -> bytes:
        """The content of a file."""
        size = int(git(self.folder, "cat-file", "-s", blob))
        if size > files.MOST_BYTES:
            raise GitFailed(f"a file of {size // 2**20} MiB on the results branch is larger than any result")
        return git(self.folder, "cat-file", "blob", blob)

    def write(self, content: bytes) -> str:
        """Store the content of a file; return its id."""
        return git(self.folder, "hash-object", "-w", "--stdin", given=content).decode().strip()

    def joined(self, kept: Mapping[str, str], added: Mapping[str, str]) -> Tree:
        """A tree with everything of two."""
        whole = dict(kept)
        for path, blob in added.items():
            if whole.setdefault(path, blob) != blob:
                whole[path] = self.write(union(path.rpartition("/")[2], self.read(whole[path]), self.read(blob)))
        return whole

    def commit(self, tree: Mapping[str, str], parent: str) -> str:
        """A commit of a tree after `parent`, which is returned itself where nothing differs."""
        before = self.tree(parent)
        if before == tree:
            return parent
        whole = {FORMAT: self.write(f"{VERSION}\n".encode()), "README.md": self.write(README.encode())} | dict(tree)
        if before == whole:
            return parent
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            lines = "".join(f"100644 {blob}\t{path}\0" for path, blob in whole.items())
            git(self.folder, "update-index", "-z", "--index-info", given=lines.encode(), variables=index)
            written = git(self.folder, "write-tree", variables=index).decode().strip()
        author = ["-c", "user.name=lossimpl", "-c", "user.email=results@lossimpl.invalid"]
        parents = ["-p", parent] if parent else []
        message = _message([path for path, blob in whole.items() if before.get(path) != blob])
        return git(self.folder, *author, "commit-tree", written, *parents, "-m", message).decode().strip()

    def point(self, **references: str) -> None:
        """Set `outbox` and `seen` in one transaction; the empty string removes one."""
        names = {f"refs/heads/{name}": commit for name, commit in references.items()}
        lines = "".join(
            f"update {name} {commit}\n" if commit else f"delete {name}\n"
            for name, commit in names.items()
            if commit or self.commit_of(name)
        )
        git(self.folder, "update-ref", "--stdin", given=f"start\n{lines}prepare\ncommit\n".encode())

    def keep(self, results: Path) -> int:
        """Add what lies under results/ to what is to be sent; return how many files are new or longer."""
        before = self.commit_of(OUTBOX)
        known = self.tree(before)
        whole = self.joined(known, self.taken(results))
        self.point(outbox=self.commit(whole, before))
        return sum(known.get(path) != blob for path, blob in whole.items())

    def taken(self, results: Path) -> Tree:
        """The finished results of a folder, stored here."""
        names = [path.relative_to(results).as_posix() for path in (*results.glob("*.json"), *results.glob("*/*"))]
        wanted = sorted(name for name in names if travels(name) and not (results / name).is_symlink())
        given = "".join(f"{(results / name).absolute()}\n" for name in wanted).encode()
        blobs = git(self.folder, "hash-object", "-w", "--no-filters", "--stdin-paths", given=given).decode().split()
        return dict(zip(wanted, blobs, strict=True))

    def give(self, results: Path) -> int:
        """Bring everything known into results/, where nothing is lost; return how many files changed there."""
        held, known = self.taken(results), self.tree(self.commit_of(OUTBOX))
        whole = self.joined({path: blob for path, blob in known.items() if travels(path)}, held)
        changed = {path: blob for path, blob in whole.items() if held.get(path) != blob}
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=results, prefix=".incoming-") as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            lines = "".join(f"100644 {blob}\t{path}\0" for path, blob in changed.items()).encode()
            git(self.folder, "update-index", "-z", "--index-info", given=lines, variables=index)
            work = [f"--git-dir={self.folder.absolute()}", f"--work-tree={Path(scratch).absolute()}"]
            git(self.folder, *work, "checkout-index", "--all", variables=index)
            for path in changed:
                (results / path).parent.mkdir(exist_ok=True)
                (Path(scratch) / path).replace(results / path)
        return len(changed)


def _message(paths: list[str]) -> str:
    """Which machines' commits a change of the branch has results of."""
    found = sorted({(path.partition("/")[0], path.partition("/")[2][:8]) for path in paths if "/" in path})
    commits = sorted({commit for _, commit in found if re.fullmatch(r"[0-9a-f]{8}", commit)})
    machines = ", ".join(sorted({one for one, _ in found}))
    return f"Results of {machines or 'no machine'}" + (f" at {', '.join(commits[:8])}" if commits else "")
