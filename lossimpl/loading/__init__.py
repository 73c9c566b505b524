"""The DataLoader laboratory: the fastest settings that still deliver the same training data.

settings, validity, workload   what is asked for
zygote, launcher, job, workers  a fresh process group for each configuration
timing, analysis, stages       how fast, and where the time goes
fingerprint, digest, verdict   the same data as with num_workers=0?
preflight, limits, obstacles   what is to be feared
advice, raised                 what became of it, in plain words
bench, row                     one configuration measured, and what its record holds
search, store, answer, summary  within a budget, resumable, the answer first
sample_rng                     the cure: random numbers that depend on (seed, epoch, index) alone
datasets/                      real workloads from PyPI packages
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossimpl.loading.row import measure
    from lossimpl.loading.sample_rng import SampleRNG, sample_generator
    from lossimpl.loading.settings import Settings
    from lossimpl.loading.workload import Workload

_WHERE = {
    "measure": "row",
    "SampleRNG": "sample_rng",
    "sample_generator": "sample_rng",
    "Settings": "settings",
    "Workload": "workload",
}
__all__ = ["SampleRNG", "Settings", "Workload", "measure", "sample_generator"]


def __getattr__(name: str) -> Any:
    """Import on first use: torch is heavy, and the zygote and `--help` do without."""
    import importlib

    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
