"""asv's fork server: what is imported before the fork must leave the child able to compute with threads."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CHILD = """
import os, sys
import benchmarks.common, benchmarks.cross_entropy
process = os.fork()
if process == 0:
    os.environ["LOSSIMPL_SECONDS"] = "0.02"
    told = benchmarks.common.track("cross_entropy", "torch", "128x1000", "float32", "cpu", "step")
    import torch
    os._exit(0 if len(told["samples"]) >= 7 and torch.get_num_threads() == int(os.environ["LOSSIMPL_THREADS"]) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


def test_a_forked_row_computes_with_all_its_threads(monkeypatch):
    """OpenMP's threads do not survive a fork, so none may run before it; a child that waits for one would hang."""
    monkeypatch.setenv("LOSSIMPL_THREADS", "2")
    monkeypatch.delenv("LOSSIMPL_ROWS", raising=False)
    done = subprocess.run([sys.executable, "-c", CHILD], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
