"""Virtual environments on top of another one's packages: torch is installed once, only lossimpl varies.

An overlay is a virtual environment without pip whose one `.pth` file lists the site-packages of what it lies over: the
running interpreter, or a `Base`. A wheel installed into it precedes them on the path, so it hides an installed
lossimpl; and since a `.pth` file that is found through another one is not read, an editable installation of the
checkout stays out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Base:
    """What an overlay lies over: an interpreter, and folders of packages in the order in which they are searched."""

    python: str
    packages: tuple[str, ...]

    def below(self, folder: Path) -> Base:
        """The same with an overlay's own packages first."""
        return Base(self.python, (str(packages_of(folder)), *self.packages))


def running() -> Base:
    """The running interpreter and its packages."""
    shared = (path for path in sys.path if Path(path).name in ("site-packages", "dist-packages"))
    return Base(sys.executable, tuple(shared))


def make(place: Path, base: Base | None = None) -> None:
    """Make an overlay in the folder `place`; CalledProcessError has the output of what failed."""
    base = base or running()
    command = [base.python, "-m", "venv", "--without-pip", str(place)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (packages_of(place) / "shared.pth").write_text("".join(f"{path}\n" for path in base.packages))


def packages_of(place: Path) -> Path:
    """The folder of the packages that are installed into the overlay itself."""
    (found,) = (place / "lib").glob("python*/site-packages")
    return found


def search_path(variables: Mapping[str, str]) -> str:
    """PATH with the programs beside the running interpreter, such as ninja, which pip installs there."""
    return f"{Path(sys.executable).parent}{os.pathsep}{variables.get('PATH', '')}"
