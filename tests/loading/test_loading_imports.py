"""What is imported where: the process that starts jobs does without torch, and names the tasks that jobs run."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import lossimpl.loading
from lossimpl.loading import bench
from lossimpl.loading.datasets import BUILT_IN


def test_the_process_that_starts_jobs_imports_no_torch():
    """It would take seconds of the budget and hundreds of MiB; what needs torch happens in jobs, verdicts included."""
    code = (
        "import sys, lossimpl.loading.search.shown\n"
        "from lossimpl.loading.measuring import measure\n"
        "row = measure({'batch_size': 64}, 'digits', 0.2)\n"
        "print(row['verdict'], 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "bitwise same False\n"


@pytest.mark.parametrize("name", [bench.INSPECT, bench.TIME, bench.FINGERPRINT, *BUILT_IN.values()])
def test_what_is_named_exists(name):
    """Tasks and built-in datasets are imported by name in fresh processes."""
    assert callable(pkgutil.resolve_name(name))


def test_the_package_offers_what_it_documents():
    """On first use, and nothing else."""
    assert all(hasattr(lossimpl.loading, name) for name in lossimpl.loading.__all__)
    with pytest.raises(AttributeError, match="no attribute 'anything'"):
        lossimpl.loading.anything  # noqa: B018  (the access itself raises)
