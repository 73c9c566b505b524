"""Both revisions, each built once and installed alone into an overlay on the running interpreter's packages.

The overlays (`reports.sweep.overlay`) share one torch. The two folders have names of equal length: a path is part of a
process's memory image, and its length alone can change a time.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from reports.gate.processes import side_environment
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


def install(name: str, commit: str, place: Path) -> Side:
    """Build and install the files in `place/source` into an overlay beside them."""
    source = place / "source"
    _checked([sys.executable, "-m", "pip", *_pip("wheel"), "-w", place / "wheel", source], f"build {name}")
    _overlay(place / "venv", name)
    (wheel,) = (place / "wheel").glob("*.whl")
    python = place / "venv" / "bin" / "python"
    _checked([sys.executable, "-m", "pip", "--python", python, *_pip("install"), wheel], f"install {name}")
    # Inductor's cache is keyed by content, so both sides can share it and compile only what changed.
    variables = {"ASV_COMMIT": commit, "TORCHINDUCTOR_CACHE_DIR": str(place.parent / "inductor")}
    return Side(name, commit, place, suite_of(source, place), side_environment(variables))


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


def _checked(command: list[str | Path], step: str) -> None:
    try:
        done = run([str(one) for one in command], Path.cwd(), BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unmeasurable(f"{step}: not finished after {BUILD_SECONDS} s") from None
    if done.returncode:
        raise Unmeasurable(f"{step}: {first_lines(done.stderr + os.linesep + done.stdout)}")


def run(command: list[str], folder: Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; what it printed is in the result."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=seconds)
