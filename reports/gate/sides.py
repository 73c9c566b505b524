"""Both revisions, each built once and installed alone into an overlay on the running interpreter's packages.

The overlays (`reports.sweep.overlay`) share one torch. The two folders have names of equal length: a path is part of a
process's memory image, and its length alone can change a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from lossimpl.measure import wall
from reports.gate import kernels
from reports.gate.processes import POLL_SECONDS, side_environment, stopping
from reports.sweep import overlay

BUILD_SECONDS = 900
FIRST_LINES = 8  # of an error, in a report


class Unmeasurable(Exception):
    """The gate could not measure; the message has the step that failed and the first lines of its error."""


@dataclass(frozen=True)
class Side:
    """One built revision: its name in reports, commit, folder, benchmarks and environment variables."""

    name: str
    commit: str
    folder: Path
    suite: Path
    environment: dict[str, str]

    @property
    def python(self) -> list[str]:
        """The command that starts the overlay's interpreter."""
        return [str(self.folder / "venv" / "bin" / "python")]

    @property
    def source(self) -> Path:
        """The revision's files."""
        return self.folder / "source"

    @property
    def roots(self) -> list[str]:
        """The folders below which code of this side lies: the package, the benchmarks, what a compiler generates."""
        (installed,) = (self.folder / "venv" / "lib").glob("python*/site-packages")
        return [str(installed), str(self.suite), str(self.source), self.environment["TORCHINDUCTOR_CACHE_DIR"]]


def commit_of(repository: Path, revision: str) -> str:
    """The full hash of a revision."""
    found = run(["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], repository)
    if found.returncode:
        raise Unmeasurable(f"{revision!r} is not a revision of this repository")
    return found.stdout.strip()


def build(repository: Path, name: str, commit: str, folder: Path) -> Side:
    """Export, build and install one commit under `folder/name`; its suite is its own benchmarks."""
    export(repository, commit, folder / name / "source")
    return install(name, commit, folder / name)


def install(name: str, commit: str, place: Path, kernels_differ: bool = False) -> Side:
    """Build and install the files in `place/source` into an overlay beside them.

    Kernels that are the same in both revisions are those of everyday use, which have probably been compiled already.
    """
    source = place / "source"
    wheel = _wheel(name, source, place)
    _overlay(place / "venv", name)
    python = place / "venv" / "bin" / "python"
    _checked([sys.executable, "-m", "pip", "--python", python, *_pip("install"), wheel], f"install {name}")
    # These caches are keyed by content, so both sides and later runs share them and compile only what changed.
    variables = {"ASV_COMMIT": commit, "TORCHINDUCTOR_CACHE_DIR": str(cache_folder() / "inductor")}
    variables |= kernels.variables(cache_folder()) if kernels_differ else {}
    return Side(name, commit, place, suite_of(source, place), side_environment(variables))


def cache_folder() -> Path:
    """Where wheels, compiled kernels and generated code are kept from run to run, by a hash of their sources."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lossimpl-gate"


def _wheel(name: str, source: Path, place: Path) -> Path:
    """The wheel of the files in `source`, built unless an earlier run built one of the same files."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(one for one in source.rglob("*") if one.is_file()):
        digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
    kept = cache_folder() / "wheels" / digest.hexdigest()[:24]
    if not list(kept.glob("*.whl")):
        _checked([sys.executable, "-m", "pip", *_pip("wheel"), "-w", place / "wheel", source], f"build {name}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # another run was first, or the disk is full
            shutil.copytree(place / "wheel", kept)
    return next(folder for folder in (*kept.glob("*.whl"), *(place / "wheel").glob("*.whl")))


def suite_of(source: Path, place: Path) -> Path:
    """The benchmarks of a revision in a folder of their own, from which its package cannot be imported."""
    suite = place / "suite"
    suite.mkdir()
    (suite / "benchmarks").symlink_to(source / "benchmarks", target_is_directory=True)
    return suite


def export(repository: Path, commit: str, place: Path) -> None:
    """Write the files of a commit to `place`, without changing the repository or its work trees."""
    archive = subprocess.run(["git", "archive", "--format=tar", commit], cwd=repository, capture_output=True)
    if archive.returncode:
        raise Unmeasurable(f"git archive {commit[:8]}: {first_lines(archive.stderr.decode(errors='replace'))}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(place, filter="data")


def _overlay(place: Path, name: str) -> None:
    try:
        overlay.make(place)
    except subprocess.CalledProcessError as error:
        raise Unmeasurable(f"make {name}'s environment: {first_lines(error.stderr or error.stdout)}") from None


def first_lines(text: str) -> str:
    """The informative lines of an error's output: from the first that mentions an error, else the last ones.

    >>> first_lines("collecting\\n  error: no such file\\nmore")
    'error: no such file\\nmore'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = (index for index, line in enumerate(lines) if "error" in line.lower() and "subprocess" not in line.lower())
    start = next(named, max(0, len(lines) - FIRST_LINES))
    return "\n".join(lines[start : start + FIRST_LINES])


def _pip(verb: str) -> list[str]:
    return [verb, "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"] + (
        ["--no-build-isolation"] if verb == "wheel" else []
    )


def check_import(source: Path) -> None:
    """Unmeasurable unless the files in `source` can be imported as they are, in seconds where a build takes more."""
    if (source / "benchmarks" / "calls.py").exists():
        script = f"import sys; sys.path.insert(0, {str(source)!r}); import benchmarks.calls"
        _checked([sys.executable, "-P", "-c", script], "import head")


def _checked(command: list[str | Path], step: str) -> None:
    """Run a step of a build; Unmeasurable has its first error. It ends early if something else has failed."""
    running = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = wall.now() + BUILD_SECONDS
    while True:
        try:
            out, errors = running.communicate(timeout=POLL_SECONDS)
            break
        except subprocess.TimeoutExpired:
            if stopping.is_set() or wall.now() > until:
                running.kill()
                raise Unmeasurable(f"{step}: not finished") from None
    if running.returncode:
        raise Unmeasurable(f"{step}: {first_lines(errors + os.linesep + out)}")


def run(command: list[str], folder: Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; what it printed is in the result."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=seconds)
