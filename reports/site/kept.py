"""Figures that were drawn before, by what they were drawn from: drawing takes longer than everything else on a page.

They lie in `.asv/figures`, in a folder for each version of the code that draws; those of other versions are removed.
"""

from __future__ import annotations

import hashlib
import pickle
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / ".asv" / "figures"


def of(key: object, make: Callable[[], str]) -> str:
    """What `make` gives for data that `key` describes whole, from the last time if it was made before."""
    path = _folder() / f"{hashlib.sha256(pickle.dumps(key)).hexdigest()[:32]}.svg"
    if path.exists():
        return path.read_text(encoding="utf-8")
    text = make()
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return text


@cache
def _folder() -> Path:
    """The folder of this version, the only one that is left."""
    code = [*sorted((Path(__file__).parent / "figures").glob("*.py")), ROOT / "lossimpl" / "wording.py"]
    version = hashlib.sha256(matplotlib.__version__.encode())
    for path in code:
        version.update(path.read_bytes())
    folder = FIGURES / version.hexdigest()[:16]
    for other in FIGURES.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
