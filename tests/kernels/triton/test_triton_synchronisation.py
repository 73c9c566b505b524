"""The host never synchronises with the device: every loss runs on fake CUDA tensors, which have no values.

Reading a value of a fake tensor (`item`, `bool`, a branch on a tensor) raises an error, so no GPU is needed here.
test_triton_gpu.py checks for other synchronisations on a GPU.
"""

import functools
import importlib

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

import lossimpl

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own of fake tensors on a device that is not there
ROWS, WIDTH = 2000, 60_000  # more rows than a program counts; 120,000 bytes per row, so several parts
REDUCTIONS = ("none", "mean", "sum")
HALF = torch.bfloat16


@pytest.fixture
def no_launches(device, monkeypatch):
    """Run the host code as on an H100, without launching kernels."""
    from lossimpl.kernels import triton

    for name in ("class_losses", "elementwise_operator", "probability_losses", "sums", "triplet_losses", "launch"):
        module = importlib.import_module(f"{triton.__name__}.{name}")
        monkeypatch.setattr(module, "launch", lambda *given, **options: None)
        monkeypatch.setattr(module, "multiprocessors", lambda device: 132, raising=False)
    monkeypatch.setattr("lossimpl.kernels.triton.class_losses.INTERPRETED", False)


def arguments(name):
    """Fake CUDA tensors for a loss, and all options that are tensors."""
    x = torch.empty(ROWS, WIDTH, device="cuda", dtype=HALF)
    other, row = torch.empty_like(x), torch.empty(WIDTH, device="cuda", dtype=HALF)
    labels = torch.empty(ROWS, device="cuda", dtype=torch.int64)
    options = {
        "cross_entropy": {"weight": row},
        "softmax_focal_loss": {"alpha": row},
        "binary_cross_entropy": {"weight": row},
        "binary_cross_entropy_with_logits": {"weight": row, "pos_weight": row},
        "l1_loss": {"weight": other},
        "mse_loss": {"weight": other},
        "huber_loss": {"weight": other},
    }
    tensors = [x, labels if name in ("cross_entropy", "softmax_focal_loss") else other]
    return [*tensors, other] if name == "triplet_margin_loss" else tensors, options.get(name, {})


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", list(lossimpl.LOSSES))
def test_a_loss_reads_no_value(name, reduction, no_launches):
    """The loss's function and the fake kernels, without autograd, whose engine needs a CUDA stream."""
    from lossimpl.kernels.triton import load

    with FakeTensorMode():
        tensors, options = arguments(name)
        loss = load(name)(*tensors, **options, reduction=reduction)
        assert (loss.dtype, loss.device.type) == (HALF, "cuda")


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_launching_the_kernels_reads_no_value(reduction, no_launches):
    """The host code of the operators: plans, partial sums, divisors, workspaces, scaling of a gradient."""
    from lossimpl.kernels.triton import class_losses, elementwise_operator, probability_losses, sums, triplet_losses

    with FakeTensorMode():
        x = torch.empty(ROWS, WIDTH, device="cuda", dtype=HALF)
        labels, row = torch.empty(ROWS, device="cuda", dtype=torch.int64), torch.empty(WIDTH, device="cuda", dtype=HALF)
        strided = torch.empty_strided((ROWS, WIDTH), (1, ROWS), device="cuda", dtype=HALF)
        upstream = torch.empty(ROWS if reduction == "none" else (), device="cuda")
        rows = torch.empty(ROWS, device="cuda") if reduction == "none" else None
        elements = torch.empty_like(x) if reduction == "none" else None
        over_rows = [
            (functools.partial(class_losses._forward, False), functools.partial(class_losses._backward, False),
             (x, labels, row), (-100, 0.0, 1.0, 0.0), 1),
            (probability_losses._forward, probability_losses._backward, (x, x, row), (0.1,), 2),
            (triplet_losses._forward, triplet_losses._backward, (x, x, x), (1.0, 2.0, 1e-6, True), 3),
        ]  # fmt: skip
        for forward, backward, tensors, numbers, count in over_rows:
            assert forward(tensors, numbers, reduction, HALF, rows, [x] * count).device.type == "cuda"
            backward(upstream, tensors, numbers, reduction, [x] * count)
        for name in elementwise_operator.NAMES:
            tensors, scalar = (x, strided, x, None), upstream if reduction != "none" else elements
            elementwise_operator._forward(name, tensors, (1.0, 2.0), reduction, HALF, elements, [x, x])
            elementwise_operator._backward(name, scalar, tensors, (1.0, 2.0), reduction, [x, x])
        sums.scale_in_place(x, upstream)


def test_reading_a_value_of_a_fake_tensor_is_an_error():
    """The tests above can fail."""
    with FakeTensorMode(), pytest.raises(DataDependentOutputException):
        torch.empty((), device="cuda").item()
