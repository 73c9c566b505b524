"""The first minutes: a version, a name that is misspelt, a table that is cut off by `head`."""

import re
import subprocess
import sys
import typing

import pytest
import torch

import lossimpl


def lossimpl_command(*arguments, **options):
    """A finished process of the command line."""
    command = [sys.executable, "-m", "lossimpl.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_the_version_is_that_of_the_distribution():
    """`--version`, `__version__` and the installed metadata agree."""
    from importlib.metadata import version

    assert lossimpl_command("--version").stdout.strip() == lossimpl.__version__ == version("lossimpl")


@pytest.mark.parametrize(("name", "near"), [("cross_entopy", "cross_entropy"), ("chose", "choose"), ("NN", None)])
def test_a_misspelt_name_fails_at_once_with_the_nearest(name, near):
    """Without an import of torch, and with what the user may have meant."""
    code = f"""
import lossimpl, sys
try: lossimpl.{name}
except AttributeError as error: print(error, 'torch' in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"module 'lossimpl' has no attribute '{name}'")
    assert said.strip().endswith("False")
    assert (near is None) == ("did you mean" not in said)
    assert near is None or near in said


def test_a_reader_that_has_seen_enough_is_no_failure():
    """`lossimpl list | head -1` exits with 0 on both sides of the pipe."""
    command = f"set -o pipefail; {sys.executable} -m lossimpl.cli list | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_list_fits_the_terminal(columns, monkeypatch):
    """No line is wider than the terminal, and every loss is named whole."""
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = lossimpl_command("list").stdout
    assert max(map(len, shown.splitlines())) <= columns
    for name in lossimpl.LOSSES:
        assert re.search(rf"\b{name}\b", shown), name


def test_the_first_call_does_without_torchs_compiler():
    """`torch._dynamo` takes seconds and 70 MiB to import; only `compiled` needs it."""
    code = """
import lossimpl, sys, torch
lossimpl.mse_loss(torch.ones(2), torch.zeros(2))
lossimpl.nn.MSELoss()(torch.ones(2), torch.zeros(2))
print([name for name in sys.modules if name.startswith(('torch._dynamo', 'sympy'))])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_mark_is_that_of_torchs_decorator():
    """`assume_constant_result` marks a function by one attribute, which dispatch sets itself."""
    from lossimpl.dispatch import resolved

    def function() -> None: ...

    torch._dynamo.assume_constant_result(function)
    assert vars(function) == vars(resolved)


@pytest.mark.parametrize("name", ["mse_loss", "cross_entropy", "triplet_margin_loss"])
def test_misspelt_words_are_found_by_type_checkers(name):
    """`reduction` and `implementation` are literals that hold every implementation of ours and of the peers."""
    hints = typing.get_type_hints(getattr(lossimpl, name))
    assert typing.get_args(hints["reduction"]) == ("none", "mean", "sum")
    assert {"auto", *lossimpl.get(name).implementations} <= set(typing.get_args(hints["implementation"]))


def test_modules_show_their_options():
    """As the constructor takes them; of a tensor its shape."""
    assert repr(lossimpl.nn.HuberLoss(delta=2)) == "HuberLoss(reduction='mean', delta=2, implementation='auto')"
    shown = repr(lossimpl.nn.SoftmaxFocalLoss(torch.ones(3), implementation="native"))
    assert "alpha=tensor[3], gamma=2.0" in shown
    assert "implementation='native'" in shown
