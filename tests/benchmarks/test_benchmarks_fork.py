"""asv's fork server: what is imported before the fork must leave the child able to compute with threads."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]

CHILD = """
import os, sys
import benchmarks.common, benchmarks.cross_entropy
process = os.fork()
if process == 0:
    os.environ["LOSSIMPL_SECONDS"] = "0.02"
    result = benchmarks.common.track("cross_entropy", "torch", "128x1000", "float32", "cpu", "step")
    import torch
    os._exit(0 if len(result["samples"]) >= 7 and torch.get_num_threads() == int(os.environ["LOSSIMPL_THREADS"]) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


def test_a_forked_row_computes_with_all_its_threads(monkeypatch):
    """OpenMP's threads do not survive a fork, so none may run before it; a child that waits for one would hang."""
    monkeypatch.setenv("LOSSIMPL_THREADS", "2")
    monkeypatch.delenv("LOSSIMPL_ROWS", raising=False)
    done = subprocess.run([sys.executable, "-c", CHILD], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


IMPORTING = """
import importlib, os, torch
asked, real = [], importlib.import_module
torch.cuda.is_available = lambda: bool(asked.append(1))
def compiler(name, package=None):
    return torch.cuda.is_available() if name == "torch._inductor.compile_fx" else real(name, package)
importlib.import_module = compiler
torch.compile = lambda function: function
import benchmarks.common
assert not asked, "CUDA's driver was asked before the fork"
torch.cuda.is_available()
assert asked, "torch was not put back as it was"
"""


def test_nobody_asks_for_a_gpu_before_the_fork(monkeypatch):
    """torch 2.11 does when its compiler is imported, and then refuses CUDA in every child. A compiler that asks."""
    monkeypatch.setenv("ASV", "1")
    done = subprocess.run([sys.executable, "-c", IMPORTING], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


ON_A_GPU = """
import os, pkgutil, importlib, sys, benchmarks
for module in pkgutil.iter_modules(benchmarks.__path__):
    importlib.import_module("benchmarks." + module.name)
process = os.fork()
if process == 0:
    import torch
    os._exit(0 if float(torch.ones(3, device="cuda").sum()) == 3 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_forked_row_can_use_the_gpu(monkeypatch):
    """All that asv's fork server imports, then a child that computes on the device."""
    monkeypatch.setenv("ASV", "1")
    done = subprocess.run([sys.executable, "-c", ON_A_GPU], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
