"""Elementwise losses: several programs, remainders, strides, and sums in a fixed order.

Expected values come from the losses' float64 oracles on the same numbers.
"""

import pytest
import torch

import lossimpl

CLOSE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 8e-3, torch.float16: 2e-3}
LOSSES = (
    ("l1_loss", {}),
    ("mse_loss", {}),
    ("smooth_l1_loss", {"beta": 0.7}),
    ("huber_loss", {"delta": 0.7}),
    ("log_cosh_loss", {}),
    ("binary_cross_entropy", {}),
    ("binary_cross_entropy_with_logits", {}),
    ("sigmoid_focal_loss", {}),
    ("sigmoid_focal_loss", {"alpha": -1.0, "gamma": 1.5}),
)
pytestmark = pytest.mark.filterwarnings("ignore")  # numpy's warnings of the infinities that the interpreter meets


def pair(name, shape, dtype, device):
    """Input and target in the loss's domain; probabilities as targets are soft."""
    generator = torch.Generator().manual_seed(1)
    x, t = 2 * torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    if name in ("binary_cross_entropy", "binary_cross_entropy_with_logits", "sigmoid_focal_loss"):
        t = t.sigmoid()
    if name == "binary_cross_entropy":
        x = x.sigmoid()
    return x.to(device, dtype), t.to(device, dtype)


def compare(name, x, t, dtype, **options):
    """Assert that value and both gradients of the kernel are close to the oracle's on the same quantised numbers."""
    from lossimpl.kernels.triton import load

    exact_x, exact_t = x.detach().double().requires_grad_(), t.detach().double().requires_grad_()
    x, t = x.detach().requires_grad_(), t.detach().requires_grad_()
    exact_options = {key: one.double() if torch.is_tensor(one) else one for key, one in options.items()}
    value, expected = load(name)(x, t, **options), lossimpl.get(name).oracle(exact_x, exact_t, **exact_options)
    upstream = torch.linspace(0.5, 1.5, expected.numel(), dtype=torch.double).reshape(expected.shape).to(value)
    value.backward(upstream)
    expected.backward(upstream.double())
    for got, want in ((value, expected), (x.grad, exact_x.grad), (t.grad, exact_t.grad)):
        scale = want.abs().max().clamp_min(1e-3)
        assert float((got.double() - want).abs().max() / scale) <= CLOSE[dtype], (got, want)


@pytest.mark.parametrize(("name", "options"), LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_several_programs_with_loops_and_a_remainder(name, options, dtype, small_tiles, device):
    """77 elements make five blocks for two programs, and leave a remainder of whole vectors."""
    compare(name, *pair(name, (77,), dtype, device), dtype, **{"reduction": "mean", **options})


@pytest.mark.parametrize(("name", "options"), LOSSES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_backward_that_reads_the_inputs_again(name, options, dtype, small_tiles, device):
    """With reduction none, and in float16, the gradient is computed in the backward pass."""
    reduction = "none" if dtype == torch.float64 else "mean"
    compare(name, *pair(name, (77,), dtype, device), dtype, **{**options, "reduction": reduction})


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize(
    "arrange",
    [
        lambda x: x.transpose(0, 1),
        lambda x: x[:, ::2],
        lambda x: x[:1].expand(4, 6),
        lambda x: x[..., None, :][:, :, 1:],
    ],
    ids=["transposed", "every other column", "strides of zero", "off a boundary"],
)
def test_strides(arrange, reduction, small_tiles, device):
    """Inputs with any strides give the oracle's value and gradients."""
    x, t = pair("huber_loss", (4, 6), torch.float32, device)
    compare("huber_loss", arrange(x), arrange(t).contiguous(), torch.float32, reduction=reduction)


def test_dense_tensors_are_walked_linearly(device):
    """Dense tensors with equal strides are walked linearly, in any order of their dimensions."""
    from lossimpl.kernels.triton.layout import walk

    x = torch.empty(2, 3, 4, 5).to(memory_format=torch.channels_last)
    assert walk([x, torch.empty_like(x)]).dimensions == 0
    assert walk([x, torch.empty(2, 3, 4, 5)]).dimensions == 3


def test_a_broadcast_weight_is_not_expanded_in_memory(small_tiles, device):
    """It is read with strides of zero."""
    x, t = pair("binary_cross_entropy_with_logits", (5, 7), torch.float32, device)
    options = {
        "weight": torch.linspace(0.5, 1, 5, device=device)[:, None],
        "pos_weight": torch.linspace(1, 3, 7).to(device),
    }
    for reduction in ("mean", "none"):
        compare("binary_cross_entropy_with_logits", x, t, torch.float32, reduction=reduction, **options)


@pytest.mark.parametrize("name", ["l1_loss", "mse_loss", "huber_loss"])
def test_weighted_means(name, small_tiles, device):
    """L1 and MSE divide by the sum of the weights, Huber by the number of elements, as in torch."""
    x, t = pair(name, (5, 7), torch.float32, device)
    compare(name, x, t, torch.float32, weight=torch.linspace(0, 2, 35).reshape(5, 7).to(device))


def test_equal_runs_give_equal_bits(small_tiles, device):
    """Without atomics, the order of summation does not depend on the order in which programs finish."""
    from lossimpl.kernels.triton import load

    x, t = pair("mse_loss", (1000,), torch.float32, device)
    assert len({float(load("mse_loss")(x, t)) for _ in range(3)}) == 1


def test_a_long_list_of_partial_sums_is_added_block_by_block(small_tiles, device):
    """40 values in blocks of 4 need two rounds; the sum of integers is exact."""
    from lossimpl.kernels.triton.sums import finish

    values = torch.arange(40.0, device=device)
    assert float(finish(values, None, 0.5, torch.float32)) == 390.0  # 39 * 40 / 2 * 0.5


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_binary_cross_entropy_of_every_probability_in_float16(target, device):
    """The approximate logarithm for half precision loses nothing: value and gradient are the oracle's, rounded once."""
    from lossimpl.kernels.triton import load

    x = torch.arange(0, 0x3C01, dtype=torch.int16).view(torch.float16).to(device).requires_grad_()  # 0 to 1
    t = torch.full_like(x, target, requires_grad=False)
    exact = x.detach().double().requires_grad_()
    value = load("binary_cross_entropy")(x, t, reduction="none")
    expected = lossimpl.get("binary_cross_entropy").oracle(exact, t.double(), reduction="none")
    (slope,), (expected_slope,) = (torch.autograd.grad(one.sum(), of) for one, of in ((value, x), (expected, exact)))
    for got, want in ((value, expected), (slope, expected_slope)):
        within = want.abs() < torch.finfo(torch.float16).max
        error = (got.double() - want).abs() / want.abs().clamp_min(torch.finfo(torch.float16).tiny)
        assert float(error[within].max()) <= 1.01 * 2.0**-11
