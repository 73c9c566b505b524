"""Real workloads from data inside PyPI packages, and one of a chosen cost.

photographs  decode, crop, augment: scikit-image's PNG and JPEG files
digits       small image arrays: scikit-learn's 1,797 digits of 8 x 8
tabular      rows of 30 numbers: scikit-learn's breast cancer table
sequences    ragged: the inked cells of each digit, with a collate function that pads
sqlite       rows fetched from a database file, one connection per process
stream       an IterableDataset, sharded over the workers, and once without
synthetic    each sample costs a chosen time of sleeping and of computing

Each module has a factory `build()`, importable from the installed package so that spawn and forkserver work.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

BUILT_IN = {
    "photographs": "lossimpl.loading.datasets.photographs:build",
    "digits": "lossimpl.loading.datasets.digits:build",
    "tabular": "lossimpl.loading.datasets.tabular:build",
    "sequences": "lossimpl.loading.datasets.sequences:build",
    "sqlite": "lossimpl.loading.datasets.sqlite:build",
    "stream": "lossimpl.loading.datasets.stream:build",
    "stream-unsharded": "lossimpl.loading.datasets.stream:build_unsharded",
    "synthetic": "lossimpl.loading.datasets.synthetic:build",
}


def resolve(name: str) -> str:
    """The `MODULE:FACTORY` behind the name of a built-in dataset, or the same text.

    Raises ValueError for a text that is neither.
    """
    spec = BUILT_IN.get(name, name)
    module, colon, factory = spec.partition(":")
    if not (module and colon and factory):
        raise ValueError(f"dataset: expected MODULE:FACTORY or one of {', '.join(BUILT_IN)}, got {name!r}")
    return spec


def package_file(package: str, *parts: str) -> Path:
    """A data file inside an installed package, found without importing the package.

    Raises ModuleNotFoundError naming the extra that installs it.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package}: not installed; pip install 'lossimpl[data]'")
    return Path(spec.submodule_search_locations[0]).joinpath(*parts)
