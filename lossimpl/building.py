"""A commit of lossimpl built and installed alone, over the running interpreter's packages; nothing else is changed.

The commit's files are exported from the repository, made into a wheel, and installed into an `overlay`. Wheels are kept
from run to run, by a hash of the files.
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
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from lossimpl import overlay
from lossimpl.measure import wall

BUILD_SECONDS = 900
POLL_SECONDS = 0.2
FIRST_LINES = 8  # of an error, in a report

stopping = threading.Event()  # set when something else has failed: steps of a build end early


class Unmeasurable(Exception):
    """Something could not be built or measured; the message names the step, with the first lines of its error."""


def commit_of(repository: Path, revision: str) -> str:
    """The full hash of a revision; Unmeasurable where the repository, or its shallow clone, lacks it."""
    found = run(["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], repository)
    if not found.returncode:
        return found.stdout.strip()
    shallow = run(["git", "rev-parse", "--is-shallow-repository"], repository)
    if shallow.returncode:
        raise Unmeasurable(f"{revision!r}: {repository} is not in a git repository; run this in a checkout of lossimpl")
    cut = "; its clone is shallow: `git fetch --unshallow` brings the others" if "true" in shallow.stdout else ""
    raise Unmeasurable(f"{revision!r} is not a revision of this repository{cut}")


def export(repository: Path, commit: str, place: Path) -> None:
    """Write the files of a commit to `place`, without changing the repository or its work trees."""
    archive = subprocess.run(["git", "archive", "--format=tar", commit], cwd=repository, capture_output=True)
    if archive.returncode:
        raise Unmeasurable(f"git archive {commit[:8]}: {first_lines(archive.stderr.decode(errors='replace'))}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(place, filter="data")


def install(name: str, place: Path, over: overlay.Base) -> Path:
    """Build the files in `place/source`, install them into an overlay beside them, and return its interpreter."""
    wheel = _wheel(name, place / "source", place)
    try:
        overlay.make(place / "venv", over)
    except subprocess.CalledProcessError as error:
        raise Unmeasurable(f"make {name}'s environment: {first_lines(error.stderr or error.stdout)}") from None
    python = place / "venv" / "bin" / "python"
    checked([sys.executable, "-m", "pip", "--python", python, *_pip("install"), wheel], f"install {name}")
    return python


def cache_folder() -> Path:
    """Where wheels, compiled kernels, generated code and environments are kept from run to run, by their content."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lossimpl-gate"


def _wheel(name: str, source: Path, place: Path) -> Path:
    """The wheel of the files in `source`, built unless an earlier run built one of the same files."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(one for one in source.rglob("*") if one.is_file()):
        digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
    kept = cache_folder() / "wheels" / digest.hexdigest()[:24]
    if not list(kept.glob("*.whl")):
        checked([sys.executable, "-m", "pip", *_pip("wheel"), "-w", place / "wheel", source], f"build {name}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # another run was first, or the disk is full
            shutil.copytree(place / "wheel", kept)
    return next(folder for folder in (*kept.glob("*.whl"), *(place / "wheel").glob("*.whl")))


def _pip(verb: str) -> list[str]:
    return [verb, "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"] + (
        ["--no-build-isolation"] if verb == "wheel" else []
    )


def first_lines(text: str) -> str:
    """The informative lines of an error's output: from the first that mentions an error, else the last ones.

    >>> first_lines("collecting\\n  error: no such file\\nmore")
    'error: no such file\\nmore'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = (index for index, line in enumerate(lines) if "error" in line.lower() and "subprocess" not in line.lower())
    start = next(named, max(0, len(lines) - FIRST_LINES))
    return "\n".join(lines[start : start + FIRST_LINES])


def checked(command: Sequence[str | Path], step: str, variables: Mapping[str, str] | None = None) -> None:
    """Run a step of a build; Unmeasurable has its first error. It ends early if something else has failed."""
    running = subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables
    )
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


def run(command: Sequence[str], folder: Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; what it printed is in the result."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=seconds)


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a built commit: ours with `variables`, without what could make it import another lossimpl."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, "PATH": overlay.search_path(kept), "PYTHONHASHSEED": "0", **variables}
