"""Real workloads from data inside PyPI packages, and one of a chosen cost.

photographs  decode, crop, augment: scikit-image's PNG and JPEG files
digits       small image arrays: scikit-learn's 1,797 digits of 8 x 8
tabular      rows of 30 numbers: scikit-learn's breast cancer table
sequences    ragged: the inked cells of each digit, with a collate function that pads
sqlite       rows fetched from a database file, one connection per process
stream       an IterableDataset, sharded over the workers, and once without
synthetic    each sample costs a chosen time of sleeping and of computing
reads        synthetic samples that wait, as for a disk; decodes: such that compute, as a decoder

Each module has a factory `build()`, importable from the installed package so that spawn and forkserver work.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import PathFinder
from pathlib import Path

from lossimpl.loading.harness.launcher import search_path

BUILT_IN = {
    "photographs": "lossimpl.loading.datasets.photographs:build",
    "digits": "lossimpl.loading.datasets.digits:build",
    "tabular": "lossimpl.loading.datasets.tabular:build",
    "sequences": "lossimpl.loading.datasets.sequences:build",
    "sqlite": "lossimpl.loading.datasets.sqlite:build",
    "stream": "lossimpl.loading.datasets.stream:build",
    "stream-unsharded": "lossimpl.loading.datasets.stream:build_unsharded",
    "synthetic": "lossimpl.loading.datasets.synthetic:build",
    "reads": "lossimpl.loading.datasets.synthetic:reads",
    "decodes": "lossimpl.loading.datasets.synthetic:decodes",
}


def resolve(name: str) -> str:
    """The `MODULE:FACTORY` behind the name of a built-in dataset; `FILE.py:FACTORY` with an absolute path.

    Raises ValueError for a text that is neither, and for a file that does not exist.
    """
    spec = BUILT_IN.get(name, name)
    module, colon, factory = spec.rpartition(":")
    if not (module and colon and factory):
        known = ", ".join(BUILT_IN)
        raise ValueError(f"dataset: expected MODULE:FACTORY, FILE.py:FACTORY or one of {known}, got {name!r}")
    if module.endswith(".py"):
        path = Path(module).expanduser().resolve()
        if not path.is_file():
            raise ValueError(f"dataset: there is no file {path}")
        return f"{path}:{factory}"
    return spec


def require(name: str) -> None:
    """Raise ValueError unless `resolve` knows the name and its module can be found, without importing anything."""
    module = resolve(name).rpartition(":")[0]
    top = module.partition(".")[0]
    if module.endswith(".py") or importlib.util.find_spec(top) is not None:
        return
    if PathFinder.find_spec(top, search_path()) is None:
        raise ValueError(f"dataset: there is no module {top!r} in the search path or the current folder")


def package_file(package: str, *parts: str) -> Path:
    """A data file inside an installed package, found without importing the package.

    Raises ModuleNotFoundError naming the extra that installs it.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package}: not installed; pip install 'lossimpl[data]'")
    return Path(spec.submodule_search_locations[0]).joinpath(*parts)
