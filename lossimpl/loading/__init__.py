"""The DataLoader laboratory: the fastest settings that still deliver the same training data.

settings, validity, workload, features    what is asked for
harness/       a fresh process for each job
data/          digests of what was delivered, and whether they are those of num_workers=0
inspection/    the first look at a dataset: facts, costs, obstacles, limits of the machine
timing/        how fast a loader delivers
diagnosis/     why a job failed, and what to do
deadlines, growth    how long a job may take; resources that grow with each sample
row, bench, measuring    one configuration measured, and its record
search/        the best settings within a budget
observation/   a loader watched inside the user's own training
selftest/      what all this promises, measured
datasets/      real workloads from PyPI packages

An import contract keeps the order (`pyproject.toml`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossimpl.loading.data.sample_rng import SampleRNG, sample_generator
    from lossimpl.loading.measuring import measure
    from lossimpl.loading.observation.observer import observe
    from lossimpl.loading.settings import Settings
    from lossimpl.loading.workload import Workload

_WHERE = {
    "measure": "measuring",
    "SampleRNG": "data.sample_rng",
    "sample_generator": "data.sample_rng",
    "observe": "observation.observer",
    "Settings": "settings",
    "Workload": "workload",
}
__all__ = ["SampleRNG", "Settings", "Workload", "measure", "observe", "sample_generator"]


def __getattr__(name: str) -> Any:
    """Import on first use: torch is heavy, and the zygote and `--help` do without."""
    import importlib

    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
