"""Both revisions, each built once and installed alone into an overlay (`lossimpl.building`).

The overlays share one torch. The two folders have names of equal length: a path is part of a process's memory image,
and its length alone can change a time.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from lossimpl import building, overlay
from reports.gate import environments, kernels
from reports.gate.environments import RUNNING, Specification


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
        installed = overlay.packages_of(self.folder / "venv")
        return [str(installed), str(self.suite), str(self.source), self.environment["TORCHINDUCTOR_CACHE_DIR"]]


def build(repository: Path, name: str, commit: str, folder: Path) -> Side:
    """Export, build and install one commit under `folder/name`; its suite is its own benchmarks."""
    building.export(repository, commit, folder / name / "source")
    return install(name, commit, folder / name)


def install(name: str, commit: str, place: Path, kernels_differ: bool = False, wanted: Specification = RUNNING) -> Side:
    """Build and install the files in `place/source` into an overlay beside them, on the environment that is wanted.

    Kernels that are the same in both revisions are those of everyday use, which have probably been compiled already.
    """
    base = environments.prepared(wanted)
    building.install(name, place, base)
    # These caches are keyed by content, so both sides and later runs share them and compile only what changed.
    cache = building.cache_folder()
    variables = {"ASV_COMMIT": commit, "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor")}
    variables |= kernels.variables(cache) if kernels_differ else {}
    variables |= environments.variables_of(wanted, base)
    suite = suite_of(place / "source", place)
    return Side(name, commit, place, suite, building.clean_environment(variables))


def suite_of(source: Path, place: Path) -> Path:
    """The benchmarks of a revision in a folder of their own, from which its package cannot be imported."""
    suite = place / "suite"
    suite.mkdir()
    (suite / "benchmarks").symlink_to(source / "benchmarks", target_is_directory=True)
    return suite


def check_import(source: Path) -> None:
    """Unmeasurable unless the files in `source` can be imported as they are, in seconds where a build takes more."""
    if (source / "benchmarks" / "calls.py").exists():
        script = f"import sys; sys.path.insert(0, {str(source)!r}); import benchmarks.calls"
        building.checked([sys.executable, "-P", "-c", script], "import head")
