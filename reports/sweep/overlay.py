"""Virtual environments on top of the running interpreter's packages: torch is installed once, only lossimpl varies.

An overlay is a virtual environment without pip whose one `.pth` file lists the running interpreter's site-packages. A
wheel installed into it precedes them on the path, so it hides an installed lossimpl; and since a `.pth` file that is
found through another one is not read, an editable installation of the checkout stays out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path


def make(place: Path) -> None:
    """Make an overlay in the folder `place`; CalledProcessError has the output of what failed."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(place)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    own = sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)})
    shared = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    Path(own, "shared.pth").write_text("\n".join(shared) + "\n")


def search_path(variables: Mapping[str, str]) -> str:
    """PATH with the programs beside the running interpreter, such as ninja, which pip installs there."""
    return f"{Path(sys.executable).parent}{os.pathsep}{variables.get('PATH', '')}"
