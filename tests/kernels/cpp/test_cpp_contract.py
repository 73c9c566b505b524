"""torch's contract where kernels could easily deviate: gradients of targets, weights, broadcasting, dtypes, errors."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lossimpl.kernels import cpp
from lossimpl.spec import Unavailable

INF = float("inf")
PAIRS = (
    "l1_loss",
    "mse_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
)


def gradient_of(leaf: Tensor) -> Tensor:
    """The gradient after backward."""
    assert leaf.grad is not None
    return leaf.grad


def pair(*shape: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Two tensors in (0, 1) that require gradients, the same in every call."""
    generator = torch.Generator().manual_seed(5)
    return tuple(torch.rand(shape, dtype=dtype, generator=generator).requires_grad_() for _ in range(2))  # type: ignore[return-value]  # two, as asked


def same_as_torch(name: str, tensors: tuple[Tensor, ...], *args: Any, **kwargs: Any) -> None:
    """Value and every gradient equal those of torch's function, up to rounding in float64."""
    leaves = [t for t in tensors if t.requires_grad]
    ours, theirs = cpp.load(name)(*tensors, *args, **kwargs), getattr(F, name)(*tensors, *args, **kwargs)
    torch.testing.assert_close(ours, theirs)
    upstream = torch.linspace(0.5, 1.5, theirs.numel(), dtype=theirs.dtype).view(theirs.shape)
    expected = torch.autograd.grad(theirs, leaves, upstream)
    for mine, wanted in zip(torch.autograd.grad(ours, leaves, upstream), expected, strict=True):
        torch.testing.assert_close(mine, wanted)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", PAIRS)
def test_both_inputs_get_their_gradient(name: str, reduction: str) -> None:
    """Input and target are differentiable, as in torch."""
    same_as_torch(name, pair(7, 33), reduction=reduction)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["l1_loss", "mse_loss", "huber_loss"])
def test_elementwise_weight(name: str, reduction: str) -> None:
    """The mean of l1 and mse divides by the sum of the weights, Huber's by their number; the weight has a gradient."""
    weight = (torch.arange(1.0, 232.0, dtype=torch.float64) / 100).view(7, 33)
    same_as_torch(name, pair(7, 33), reduction=reduction, weight=weight)
    same_as_torch(name, pair(7, 33), reduction=reduction, weight=weight.t().contiguous().t())
    x, y = pair(7, 33)
    leaves = [weight.clone().requires_grad_() for _ in range(2)]
    for function, leaf in zip((cpp.load(name), getattr(F, name)), leaves, strict=True):
        function(x, y, reduction=reduction, weight=leaf).sum().backward()
    torch.testing.assert_close(gradient_of(leaves[0]), gradient_of(leaves[1]))


@pytest.mark.parametrize("shape", [(33,), (1, 33), (7, 1), (7, 33), ()])
def test_logit_weights_broadcast(shape: tuple[int, ...]) -> None:
    """weight and pos_weight of BCE with logits broadcast to the input, whatever its layout."""
    weight = torch.rand(shape, dtype=torch.float64) + 0.5
    x, y = pair(7, 33)
    for name, extra in (("binary_cross_entropy_with_logits", {"pos_weight": weight + 1}), ("binary_cross_entropy", {})):
        same_as_torch(name, (x, y), weight=weight, **extra)
    same_as_torch(
        "binary_cross_entropy_with_logits",
        tuple(t.detach().t().contiguous().t().requires_grad_() for t in (x, y)),
        pos_weight=weight,
    )


def test_broadcasting() -> None:
    """(3, 1) of ones against (3,) of zeros is 1, and each gradient has the shape of its input."""
    x, y = torch.ones(3, 1, requires_grad=True), torch.zeros(3, requires_grad=True)
    loss = cpp.load("mse_loss")(x, y)
    loss.backward()
    assert loss.item() == 1.0
    assert torch.equal(gradient_of(x), torch.full((3, 1), 2 / 3))
    assert torch.equal(gradient_of(y), torch.full((3,), -2 / 3))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(6, 5), (5,), (6, 5, 2, 3)])
def test_class_options(shape: tuple[int, ...], reduction: str) -> None:
    """Combinations of class weights, ignored labels, smoothing and probability targets, for every rank."""
    x, p = pair(*shape)
    labels = torch.arange(max(1, x.numel() // 5)).remainder(5).view(shape[:1] + shape[2:] if len(shape) > 1 else ())
    weight = torch.linspace(0.5, 2, 5, dtype=torch.float64)
    for smoothing in (0.0, 0.2):
        for options in ({}, {"weight": weight}):
            both = {"reduction": reduction, "label_smoothing": smoothing, **options}
            same_as_torch("cross_entropy", (x, p), **both)
            same_as_torch("cross_entropy", (x, labels), ignore_index=2, **both)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", [{}, {"swap": True}, {"p": 1.0}, {"p": INF}, {"p": 3.0}, {"p": 0.5}])
def test_triplet_gradients(options: dict[str, Any], reduction: str) -> None:
    """Anchor, positive and negative get their gradients, for every kind of norm."""
    tensors = tuple(t.detach().requires_grad_() for t in (*pair(9, 21), pair(9, 42)[0][:, :21]))
    same_as_torch("triplet_margin_loss", tensors, reduction=reduction, **options)


# Computed by hand from the definitions.
@pytest.mark.parametrize(
    ("name", "arguments", "loss", "slope"),
    [
        ("binary_cross_entropy_with_logits", (-INF, 0.9), INF, None),
        ("binary_cross_entropy_with_logits", (INF, 1.0), 0.0, 0.0),
        ("binary_cross_entropy_with_logits", (-INF, 0.0), 0.0, 0.0),
        ("binary_cross_entropy_with_logits", (-120.0, 1.0), 120.0, -1.0),
        ("binary_cross_entropy_with_logits", (1e30, 0.0), 1e30, 1.0),
        ("binary_cross_entropy", (0.0, 1.0), 100.0, -1e12),
        ("binary_cross_entropy", (1.0, 1.0), 0.0, 0.0),
        ("smooth_l1_loss", (1.0, 0.0), 0.5, 1.0),
        ("huber_loss", (1.0, 0.0), 0.5, 1.0),
        ("l1_loss", (INF, INF), math.nan, 0.0),
        ("log_cosh_loss", (1e-4, 0.0), 5e-9, 1e-4),
        ("log_cosh_loss", (1e30, 0.0), 1e30, 1.0),
        ("sigmoid_focal_loss", (-100.0, 1.0), 25.0, -0.25),
        ("sigmoid_focal_loss", (100.0, 1.0), 0.0, 0.0),
    ],
)
def test_single_elements(name: str, arguments: tuple[float, float], loss: float, slope: float | None) -> None:
    """Limits, ties and tails of one element, in float32."""
    x = torch.tensor([arguments[0]], requires_grad=True)
    value = cpp.load(name)(x, torch.tensor([arguments[1]]), reduction="sum")
    value.backward()
    assert value.item() == pytest.approx(loss, rel=2e-7, nan_ok=True)
    if slope is not None:
        assert gradient_of(x).item() == pytest.approx(slope, rel=2e-7)


def test_class_limits() -> None:
    """-inf is an impossible class, +inf gives NaN, equal logits give ln 2, all rows ignored give NaN and gradient 0."""
    loss = cpp.load("cross_entropy")
    x = torch.tensor([[-INF, 0.0, 1.0]], requires_grad=True)
    value = loss(x, torch.tensor([1]))
    value.backward()
    assert value.item() == pytest.approx(1.3132616, rel=1e-7)  # log(1 + e)
    assert gradient_of(x)[0, 0] == 0
    assert loss(x, torch.tensor([0])).item() == INF
    assert math.isnan(loss(torch.tensor([[INF, 0.0]]), torch.tensor([1])).item())
    assert math.isnan(loss(torch.full((1, 3), -INF), torch.tensor([1])).item())
    for size in (1.0, 1e4, 1e8, 1e30):
        assert loss(torch.full((1, 2), size), torch.tensor([1])).item() == pytest.approx(math.log(2), rel=1e-7)
    y = torch.randn(3, 4, requires_grad=True)
    nothing = loss(y, torch.full((3,), -100))
    nothing.backward()
    assert math.isnan(nothing.item())
    assert not gradient_of(y).any()


def test_a_rising_row_is_rescaled() -> None:
    """A row whose later blocks exceed the earlier ones by thousands is still summed accurately."""
    x = torch.arange(20000, dtype=torch.float32)[None]
    last = -math.log(1 - math.exp(-1))  # the sum of exp(-k) over k >= 0
    for label in (19999, 0):
        assert cpp.load("cross_entropy")(x, torch.tensor([label])).item() == pytest.approx(
            last + 19999 - label, rel=1e-6
        )


def test_half_precision_is_rounded_once() -> None:
    """A bf16 mean is the exact mean rounded to nearest; an fp16 sum of 100000 fours overflows, its mean does not."""
    x, y = torch.full((100000,), 2.0, dtype=torch.float16), torch.zeros(100000, dtype=torch.float16)
    assert (cpp.load("mse_loss")(x, y).item(), cpp.load("mse_loss")(x, y, "sum").item()) == (4.0, INF)
    a = torch.randn(50, 40, generator=torch.Generator().manual_seed(1)).bfloat16()
    exact = F.cross_entropy(a.double(), torch.arange(50) % 40)
    assert cpp.load("cross_entropy")(a, torch.arange(50) % 40).item() == exact.bfloat16().item()


def test_mixed_dtypes_promote() -> None:
    """The loss has the promoted dtype, each gradient that of its tensor; Huber's loss has the dtype of its input."""
    x = torch.rand(5, dtype=torch.bfloat16, requires_grad=True)
    loss = cpp.load("mse_loss")(x, torch.rand(5))
    loss.backward()
    assert loss.dtype == torch.float32
    assert gradient_of(x).dtype == torch.bfloat16
    assert cpp.load("huber_loss")(x, torch.rand(5)).dtype == torch.bfloat16


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("weights", [{"weight"}, {"pos_weight"}, {"weight", "pos_weight"}])
def test_cross_entropy_ignores_the_dtype_of_its_weights(weights: set[str], reduction: str) -> None:
    """With float64 weights the loss of float32 logits is computed in float64 and returned as float32, as in torch."""
    tensors = pair(4, 3, dtype=torch.float32)
    given = dict.fromkeys(weights, torch.tensor([1.25, 0.5, 2], dtype=torch.float64))
    for name in ["binary_cross_entropy_with_logits"] + ["binary_cross_entropy"] * (weights == {"weight"}):
        if name == "binary_cross_entropy":
            tensors = (tensors[0], tensors[1].detach())
        same_as_torch(name, tensors, reduction=reduction, **given)
        assert cpp.load(name)(*tensors, reduction=reduction, **given).dtype == torch.float32


@pytest.mark.parametrize("name", ["mse_loss", "sigmoid_focal_loss", "cross_entropy", "triplet_margin_loss"])
def test_empty_batches(name: str) -> None:
    """The mean of an empty batch is NaN, its sum 0, its gradient empty."""
    x = torch.zeros(0, 4, requires_grad=True)
    labels = torch.zeros(0, dtype=torch.long)
    others = {"cross_entropy": [labels], "triplet_margin_loss": [x.detach()] * 2}.get(name, [x.detach()])
    assert math.isnan(cpp.load(name)(x, *others, reduction="mean").item())
    total = cpp.load(name)(x, *others, reduction="sum")
    total.backward()
    assert (total.item(), gradient_of(x).shape) == (0, (0, 4))


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "error"),
    [
        ("cross_entropy", (torch.zeros(2, 3), torch.tensor([0, 3])), {}, IndexError),
        ("cross_entropy", (torch.zeros(2, 3), torch.tensor([0, -1])), {}, IndexError),
        ("cross_entropy", (torch.zeros(2, 3), torch.zeros(3).long()), {}, ValueError),
        ("cross_entropy", (torch.zeros(2, 3), torch.zeros(2, 3)), {"ignore_index": 1}, RuntimeError),
        ("cross_entropy", (torch.zeros(2, 3), torch.zeros(2).long()), {"reduction": "average"}, ValueError),
        ("binary_cross_entropy", (torch.tensor([1.0001]), torch.tensor([1.0])), {}, RuntimeError),
        ("binary_cross_entropy", (torch.tensor([0.5]), torch.tensor([1.5])), {}, RuntimeError),
        ("binary_cross_entropy", (torch.zeros(2), torch.zeros(3)), {}, ValueError),
        ("smooth_l1_loss", (torch.zeros(2), torch.zeros(2)), {"beta": -1.0}, RuntimeError),
        ("huber_loss", (torch.zeros(2), torch.zeros(2)), {"delta": 0.0}, RuntimeError),
        ("mse_loss", (torch.zeros(2), torch.zeros(3)), {}, RuntimeError),
        ("mse_loss", (torch.zeros(2), torch.zeros(2)), {"weight": torch.zeros(3)}, ValueError),
        ("triplet_margin_loss", (torch.zeros(2, 3),) * 3, {"margin": 0.0}, ValueError),
        ("sigmoid_focal_loss", (torch.zeros(2), torch.zeros(2)), {"gamma": -1.0}, ValueError),
        ("l1_loss", (torch.zeros(2, dtype=torch.complex64), torch.zeros(2)), {}, Unavailable),
    ],
)
def test_refusals(name: str, args: tuple[Tensor, ...], kwargs: dict[str, Any], error: type[Exception]) -> None:
    """Wrong arguments raise torch's error type; valid ones that the kernels do not serve raise Unavailable."""
    with pytest.raises(error):
        cpp.load(name)(*args, **kwargs)


@pytest.mark.parametrize("name", ["cross_entropy", "softmax_focal_loss", "triplet_margin_loss"])
def test_vmap_rounds_half_precision_once(name: str) -> None:
    """The formula used under vmap computes bf16 in float32; expected: the float32 result, rounded."""
    torch.manual_seed(0)
    x = torch.randn(2, 6, 5).bfloat16()
    others = [torch.randint(5, (6,))] if name != "triplet_margin_loss" else [torch.randn(6, 5).bfloat16()] * 2
    wide = [one.float() if one.is_floating_point() else one for one in others]

    def loss(one: Tensor, rest: list[Tensor]) -> Tensor:
        value = cpp.load(name)(one, *rest, reduction="none")
        assert isinstance(value, Tensor)
        return value

    expected = torch.stack([loss(one.float(), wide).bfloat16() for one in x])
    torch.testing.assert_close(torch.vmap(lambda one: loss(one, others))(x), expected, rtol=0, atol=0)


def test_the_gradient_of_an_infinite_distance() -> None:
    """Its gradient is NaN where the difference is infinite, and zero for the other elements, as in torch."""
    anchor, negative = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    ours, theirs = (torch.tensor([[INF, 0.0]], requires_grad=True) for _ in range(2))
    cpp.load("triplet_margin_loss")(anchor, ours, negative).backward()
    F.triplet_margin_loss(anchor, theirs, negative).backward()
    torch.testing.assert_close(gradient_of(ours), gradient_of(theirs), equal_nan=True)


@pytest.mark.parametrize("p", [INF, -1.0])
def test_empty_vectors_have_no_extreme_element(p: float) -> None:
    """Refused where torch refuses: the maximum of an empty vector is undefined."""
    empty, one = torch.zeros(4, 0), torch.zeros(4, 1)
    for triple in [(empty, empty, empty), (one, empty, empty)]:
        with pytest.raises(RuntimeError):
            F.triplet_margin_loss(*triple, p=p)
        with pytest.raises(RuntimeError, match="order"):
            torch.ops.lossimpl.triplet_margin_loss(*triple, p=p)


def test_smoothing_of_one_ignores_an_impossible_target() -> None:
    """The target's term has factor 0 and is dropped although infinite; its logit still counts in the smoothing term."""
    x = torch.tensor([[-INF, 0.0, 1.0]])
    assert cpp.load("cross_entropy")(x, torch.tensor([0]), label_smoothing=1.0) == INF


def test_focal_of_an_impossible_target_differentiates() -> None:
    """torch.func.grad, which uses the formula, equals the kernel's gradient where the target's logit is -inf."""
    x, target = torch.tensor([[-INF, 0.0, 1.0]]), torch.tensor([0])
    leaf = x.clone().requires_grad_()
    cpp.load("softmax_focal_loss")(leaf, target).backward()
    ours = torch.func.grad(lambda one: cpp.load("softmax_focal_loss")(one, target))(x)
    torch.testing.assert_close(ours, gradient_of(leaf))


@pytest.mark.parametrize("count", [2000, 65536, 1_000_001])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_sums_of_float64_keep_their_digits(count: int, reduction: str) -> None:
    """Equal terms, whose rounding errors do not average out; expected: math.fsum, to two units in the last place."""
    x = torch.full((count,), 1e4 + 0.1, dtype=torch.float64) * 1.1
    value = cpp.load("l1_loss")(x, torch.zeros_like(x), reduction=reduction).item()
    expected = math.fsum(x.tolist()) / (count if reduction == "mean" else 1)
    assert abs(value - expected) <= 2 * math.ulp(expected)


@pytest.mark.parametrize("label", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("count", [5, 700])
def test_probabilities_of_float64_near_the_ends_are_clamped(count: int, label: float) -> None:
    """For p and 1 - p from 1e-17 to 1e-10: torch divides the gradient by at least 1e-12."""
    small = torch.logspace(-17, -10, count, dtype=torch.float64)
    for p in (small, 1 - small):
        same_as_torch("binary_cross_entropy", (p.requires_grad_(), torch.full_like(p, label)), reduction="none")
