"""Workloads that are real, from data inside PyPI packages, and one whose cost is set.

photographs  decode, crop, augment: scikit-image's PNG and JPEG files
digits       small image arrays: scikit-learn's 1,797 digits of 8 x 8
tabular      rows of 30 numbers: scikit-learn's breast cancer table
sequences    ragged: the inked cells of each digit, with a collate function that pads
sqlite       rows fetched from a database file, one connection per process
stream       an IterableDataset, sharded over the workers, and once without
synthetic    each item costs what is asked for, by sleeping or by computing

Each file has `build()`, importable from the installed package so that spawn and forkserver work.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path


def package_file(package: str, *parts: str) -> Path:
    """A data file inside an installed package, found without importing the package.

    Raises ModuleNotFoundError naming the extra that installs it.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package}: not installed; pip install 'lossimpl[data]'")
    return Path(spec.submodule_search_locations[0]).joinpath(*parts)
