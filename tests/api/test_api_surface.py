"""The public API is a drop-in for torch.nn.functional and torch.nn."""

import copy
import inspect
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import lossimpl
from lossimpl import dispatch, nn, registry

TORCHS = [name for name, loss in lossimpl.LOSSES.items() if "torch" in loss.implementations]


def inputs_of(name):
    """Small valid tensors of a loss."""
    case = lossimpl.Case(name, (4, 5))
    made = __import__("lossimpl.inputs", fromlist=["make"]).make(case)
    return [made[tensor] for tensor in lossimpl.get(name).tensors]


@pytest.mark.parametrize("name", TORCHS)
def test_signature_is_torchs(name):
    """Same argument names, defaults and order as torch, and `implementation` by keyword only."""
    ours = inspect.signature(getattr(lossimpl, name)).parameters
    theirs = inspect.signature(getattr(F, name)).parameters
    assert {k: v.default for k, v in ours.items() if k != "implementation"} == {k: v.default for k, v in theirs.items()}
    assert ours["implementation"].kind is inspect.Parameter.KEYWORD_ONLY
    assert [key for key in ours if key != "implementation"] == list(theirs)


@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_every_implementation_has_the_public_signature(name):
    """Every form has the public signature, so that benchmarks may call it directly."""
    parameters = inspect.signature(getattr(lossimpl, name)).parameters
    public = [key for key in parameters if key not in ("implementation", "size_average", "reduce")]
    module = next(module for module in registry.MODULES if module.LOSS.name == name)
    for function in ("oracle", "naive", "vectorized", "check", "framework"):
        if hasattr(module, function):
            assert list(inspect.signature(getattr(module, function)).parameters) == public


@pytest.mark.parametrize("name", lossimpl.LOSSES)
def test_unknown_implementation_names_those_that_exist(name):
    """A misspelt implementation is a ValueError with the list."""
    with pytest.raises(ValueError, match=r"unknown implementation 'fast'.*naive, vectorized"):
        getattr(lossimpl, name)(*inputs_of(name), implementation="fast")


def test_named_implementation_that_cannot_serve_raises_unavailable():
    """No silent fallback: log-cosh has no torch form, a device without kernels is Unavailable to native, by name."""
    with pytest.raises(ValueError, match="unknown implementation 'torch' of log_cosh_loss"):
        lossimpl.log_cosh_loss(torch.ones(2), torch.ones(2), implementation="torch")
    with pytest.raises(lossimpl.Unavailable, match="cpu and cuda only, not for meta"):
        lossimpl.mse_loss(torch.ones(2, device="meta"), torch.ones(2, device="meta"), implementation="native")


def test_auto_falls_back_where_native_does_not_serve(monkeypatch):
    """Without native, auto takes torch, else the tensor expression, choose says why, and a warning does, once."""
    for kept in ("FUNCTIONS", "RESOLVED"):
        monkeypatch.setattr(dispatch, kept, {})
    monkeypatch.setattr(dispatch, "REFUSED", {})
    dispatch.warn_once.cache_clear()
    for name in ("mse_loss", "log_cosh_loss"):
        broken = lossimpl.Implementation("native", lambda device: None, lambda device: "no compiler found")
        monkeypatch.setitem(lossimpl.get(name).implementations, "native", broken)
    x, y = torch.ones(3), torch.zeros(3)
    assert lossimpl.choose("mse_loss", x, y).implementation == "torch"
    assert "no compiler found" in lossimpl.choose("log_cosh_loss", x, y).reason
    assert lossimpl.choose("log_cosh_loss", x, y).implementation == "vectorized"
    with pytest.warns(UserWarning, match="no compiler found") as warned:
        assert [lossimpl.mse_loss(x, y).item() for _ in range(3)] == [1.0] * 3
    assert len(warned) == 1
    with pytest.raises(lossimpl.Unavailable, match="no compiler found"):
        lossimpl.mse_loss(x, y, implementation="native")


@pytest.mark.parametrize("name", ["l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "log_cosh_loss"])
def test_broadcast_warns_as_torch_does(name):
    """A target of another shape computes, with torch's warning."""
    with pytest.warns(UserWarning, match="Using a target size"):
        getattr(lossimpl, name)(torch.ones(3, 1), torch.zeros(3), implementation="vectorized")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(lossimpl, name)(torch.ones(3), torch.zeros(3), implementation="vectorized")


MODULES = {
    "CrossEntropyLoss": ("cross_entropy", {"label_smoothing": 0.1}),
    "BCELoss": ("binary_cross_entropy", {}),
    "BCEWithLogitsLoss": ("binary_cross_entropy_with_logits", {"pos_weight": torch.full((5,), 2.0)}),
    "SigmoidFocalLoss": ("sigmoid_focal_loss", {"gamma": 1.5, "reduction": "mean"}),
    "SoftmaxFocalLoss": ("softmax_focal_loss", {"alpha": torch.full((5,), 0.5)}),
    "L1Loss": ("l1_loss", {"reduction": "sum"}),
    "MSELoss": ("mse_loss", {}),
    "SmoothL1Loss": ("smooth_l1_loss", {"beta": 0.5}),
    "HuberLoss": ("huber_loss", {"delta": 0.5}),
    "LogCoshLoss": ("log_cosh_loss", {}),
    "TripletMarginLoss": ("triplet_margin_loss", {"swap": True}),
}


@pytest.mark.parametrize("module", nn.__all__)
def test_modules_compute_their_function(module):
    """Each module gives what its function gives, also copied and pickled."""
    name, options = MODULES[module]
    made = getattr(nn, module)(**options, implementation="vectorized")
    tensors = inputs_of(name)
    expected = getattr(lossimpl, name)(*tensors, **options, implementation="vectorized")
    for one in (made, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert torch.equal(one(*tensors), expected)


@pytest.mark.parametrize("module", [name for name in nn.__all__ if hasattr(torch.nn, name)])
def test_modules_share_torchs_state(module):
    """A torch checkpoint loads into ours: the same state names, and a subclass of torch's module."""
    weights = {"CrossEntropyLoss", "BCELoss", "BCEWithLogitsLoss"}
    options = {"weight": torch.ones(5)} if module in weights else {}
    ours, theirs = getattr(nn, module)(**options), getattr(torch.nn, module)(**options)
    ours.load_state_dict(theirs.state_dict())
    assert isinstance(ours, type(theirs))


def test_register_adds_an_implementation_everywhere():
    """A registered function is called by name, listed, and refused a second time."""
    registry.register("mse_loss", "mine", lambda x, y, reduction, weight: (x - y).square().sum(), ["cpu"])
    try:
        assert lossimpl.mse_loss(torch.ones(3), torch.zeros(3), implementation="mine").item() == 3.0
        assert "mine" in lossimpl.get("mse_loss").available("cpu")
        assert "mine" not in lossimpl.get("mse_loss").available("cuda")
        with pytest.raises(lossimpl.Unavailable, match="mine serves cpu only"):
            registry.function("mse_loss", "mine", "cuda")
        with pytest.raises(ValueError, match="name 'mine' is taken"):
            registry.register("mse_loss", "mine", lambda: None)
    finally:
        lossimpl.get("mse_loss").implementations.pop("mine")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no_such_loss", "mine", print), "unknown loss 'no_such_loss'"),
        (("mse_loss", "native", print), "name 'native' is taken"),
        (("mse_loss", "mine", print, ["tpu"]), "devices holds 'tpu'"),
    ],
)
def test_register_refuses_bad_arguments(arguments, message):
    """The argument, the value and what is allowed are in the message."""
    with pytest.raises(ValueError, match=message):
        registry.register(*arguments)


def test_a_plugin_that_fails_stays_visible(monkeypatch):
    """An entry point that raises is kept with its reason, and the others still load."""
    loaded = []

    class Entry:
        def __init__(self, name, function):
            self.name, self.function = name, function

        def load(self):
            return self.function

    def broken():
        raise ImportError("operator torchvision::nms does not exist")

    found = [Entry("broken", broken), Entry("fine", lambda: loaded.append("fine"))]
    monkeypatch.setattr(registry, "entry_points", lambda group: found)
    monkeypatch.setattr(registry, "FAILED", {})
    registry.load_entry_points()
    assert registry.FAILED == {"broken": "ImportError: operator torchvision::nms does not exist"}
    assert loaded == ["fine"]


def test_readmes_example_runs_as_it_stands(tmp_path):
    """Every Python block of README in a fresh process, where nothing is imported but what the block imports."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block], capture_output=True, text=True, timeout=600, cwd=tmp_path
        )  # native may be built
        assert done.returncode == 0, done.stderr


def test_the_losses_with_native_are_those_with_kernels():
    """A loss without kernels does not list `native`."""
    from lossimpl import operators
    from lossimpl.kernels import triton

    assert set(registry.FUSED) == set(operators.LOSSES) == set(triton.LOSSES)
    assert {name for name, loss in lossimpl.LOSSES.items() if "native" in loss.implementations} == set(registry.FUSED)
