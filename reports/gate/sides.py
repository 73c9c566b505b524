"""Both revisions, each built once and installed alone into an overlay on the running interpreter's packages.

An overlay is a virtual environment without pip whose one `.pth` file points at the packages that run the gate, so both
sides share one torch. The two folders have names of equal length: a path is part of a process's memory image, and its
length alone can move a time.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import sysconfig
import tarfile
from dataclasses import dataclass
from pathlib import Path

from reports.gate.processes import side_environment

BUILD_SECONDS = 900
FIRST_LINES = 8  # of an error, in a report


class Unmeasurable(Exception):
    """The gate could not measure; the message says which step failed and how, in its first lines."""


@dataclass(frozen=True)
class Side:
    """One built revision: its name in reports, its commit, its folder, the benchmarks it runs, its variables."""

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
        raise Unmeasurable(f"{revision!r} is no revision of this repository")
    return found.stdout.strip()


def build(repository: Path, name: str, commit: str, folder: Path) -> Side:
    """Export, build and install one commit under `folder/name`; its suite is its own benchmarks."""
    export(repository, commit, folder / name / "source")
    return install(name, commit, folder / name)


def install(name: str, commit: str, place: Path) -> Side:
    """Build and install the files in `place/source` into an overlay beside them."""
    source = place / "source"
    _checked([sys.executable, "-m", "pip", *_pip("wheel"), "-w", place / "wheel", source], f"build {name}")
    overlay(place / "venv")
    (wheel,) = (place / "wheel").glob("*.whl")
    python = place / "venv" / "bin" / "python"
    _checked([sys.executable, "-m", "pip", "--python", python, *_pip("install"), wheel], f"install {name}")
    # Inductor's cache goes by content, so both sides may share one: what did not change is compiled once.
    variables = {"ASV_COMMIT": commit, "TORCHINDUCTOR_CACHE_DIR": str(place.parent / "inductor")}
    return Side(name, commit, place, suite_of(source, place), side_environment(variables))


def suite_of(source: Path, place: Path) -> Path:
    """The benchmarks of a revision in a folder of their own, where the package's source is not in reach."""
    suite = place / "suite"
    suite.mkdir()
    (suite / "benchmarks").symlink_to(source / "benchmarks", target_is_directory=True)
    return suite


def export(repository: Path, commit: str, place: Path) -> None:
    """The files of a commit, without touching the repository or its work trees."""
    archive = subprocess.run(["git", "archive", "--format=tar", commit], cwd=repository, capture_output=True)
    if archive.returncode:
        raise Unmeasurable(f"git archive {commit[:8]}: {first_lines(archive.stderr.decode(errors='replace'))}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(place, filter="data")


def overlay(place: Path) -> None:
    """An empty virtual environment that looks through to the running interpreter's packages."""
    _checked([sys.executable, "-m", "venv", "--without-pip", place], f"make {place.parent.name}'s environment")
    own = sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)})
    shared = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    Path(own, "shared.pth").write_text("\n".join(shared) + "\n")


def first_lines(text: str) -> str:
    """The lines of an error that say what went wrong: from the first that names an error, else the last ones.

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
        raise Unmeasurable(f"{step}: no end after {BUILD_SECONDS} s") from None
    if done.returncode:
        raise Unmeasurable(f"{step}: {first_lines(done.stderr + os.linesep + done.stdout)}")


def run(command: list[str], folder: Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=seconds)
