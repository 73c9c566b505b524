"""Claims about steps into kept memory; each in a process of its own, for malloc cannot release it again."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc's malloc can be set to keep freed memory"
)

FAULTS = """
import resource, sys
from lossimpl.measure import workload
from lossimpl.registry import get, function
from lossimpl.spec import Case

case = Case("mse_loss", (1 << 12, 1 << 12), mode=sys.argv[1])
step = workload.prepare(function("mse_loss", "torch", "cpu"), workload.inputs_of(get("mse_loss"), case), case.mode)
counts = []
for _ in range(30):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(counts)[len(counts) // 2])
"""


def faults(mode: str) -> int:
    """The median of the page faults of 30 steps of torch's mse_loss over 64 MiB tensors."""
    done = subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_step_into_kept_memory_has_no_page_faults():
    """64 MiB are 16,384 pages of 4 KiB (32 large ones, which some systems hand out unasked); kept, they are there."""
    assert faults("reuse") < 100
    assert faults("step") > faults("reuse")


def test_the_row_says_whose_memory_it_was():
    """`protocol` names the allocator, so that no two kinds of row are taken for one."""
    code = """
from lossimpl.rounds import measure_round
from lossimpl.spec import Case
for mode in ("step", "reuse"):
    print(measure_round(Case("l1_loss", (32, 10), mode=mode), ["torch"])[0].protocol)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    step, reuse = done.stdout.splitlines()
    assert "allocated afresh" in step
    assert "memory that malloc kept" in reuse
