"""Rows of any width and alignment: edges outside 16-byte vectors, one tile, several tiles, padding.

Expected values come from the losses' float64 oracles on the same numbers.
"""

import pytest
import torch

import lossimpl

# For about ten operations, and for the triplet loss a difference of distances ten times as large.
CLOSE = {torch.float64: 1e-12, torch.float32: 5e-6, torch.bfloat16: 8e-3, torch.float16: 2e-3}
# 1 and 3: shorter than a vector; 8 and 16: whole vectors; 9 and 21: odd; 37: with small tiles, several and two edges
WIDTHS = (1, 3, 8, 9, 16, 21, 37)
pytestmark = pytest.mark.filterwarnings("ignore")  # numpy's warnings of the infinities that the interpreter meets


def compare(name, arguments, differentiable, dtype, **options):
    """Assert that value and gradients of the kernel are close to the oracle's on the same quantised numbers."""
    from lossimpl.kernels.triton import load

    ours = [one.requires_grad_(k in differentiable) for k, one in enumerate(arguments)]
    exact = [one.detach().double() if one.is_floating_point() else one for one in arguments]
    exact = [one.requires_grad_(k in differentiable) for k, one in enumerate(exact)]
    exact_options = {key: one.double() if torch.is_tensor(one) else one for key, one in options.items()}
    value, expected = load(name)(*ours, **options), lossimpl.get(name).oracle(*exact, **exact_options)
    upstream = torch.linspace(0.5, 1.5, expected.numel(), dtype=torch.double).reshape(expected.shape).to(value)
    value.backward(upstream)
    expected.backward(upstream.double())
    for got, want in [(value, expected), *((ours[k].grad, exact[k].grad) for k in differentiable)]:
        scale = want.abs().max().clamp_min(1e-3)
        assert float((got.double() - want).abs().max() / scale) <= CLOSE[dtype], (got, want)


def logits(rows, width, dtype, device, seed=0):
    """Normal logits."""
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(rows, width, generator=generator)).to(device, dtype)


def labels(rows, width, device):
    """The first class, the last, one in between, and an ignored row."""
    return torch.tensor([0, width - 1, width // 2, -100], device=device)[:rows]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cross_entropy_of_any_width(width, dtype, small_tiles, device):
    """Value and gradient for every combination of edges and tiles."""
    compare("cross_entropy", [logits(4, width, dtype, device), labels(4, width, device)], (0,), dtype)


@pytest.mark.parametrize("width", [9, 37])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_weights_and_smoothing_over_several_tiles(width, dtype, reduction, small_tiles, device):
    """Value and gradient with class weights and label smoothing."""
    weight = torch.linspace(0.1, 2.0, width).to(device, dtype)
    options = {"weight": weight, "label_smoothing": 0.2, "reduction": reduction}
    compare("cross_entropy", [logits(4, width, dtype, device), labels(4, width, device)], (0,), dtype, **options)


@pytest.mark.parametrize("width", [5, 37])
def test_one_tile_that_stays_on_chip(width, device):
    """With the real tuning, rows this short are read once."""
    compare("cross_entropy", [logits(4, width, torch.float32, device), labels(4, width, device)], (0,), torch.float32)


@pytest.mark.parametrize("width", [3, 21, 37])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_softmax_focal_of_any_width(width, gamma, small_tiles, device):
    """Value and gradient with one alpha per class."""
    alpha = torch.linspace(0.1, 2.0, width).to(device)
    arguments = [logits(4, width, torch.float32, device), labels(4, width, device)]
    compare("softmax_focal_loss", arguments, (0,), torch.float32, alpha=alpha, gamma=gamma)


@pytest.mark.parametrize("width", [1, 3, 8, 21, 37])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_probability_targets_of_any_width_with_both_gradients(width, dtype, small_tiles, device):
    """Value and the gradients of logits and targets, with weights and smoothing."""
    target = logits(3, width, torch.float32, device, seed=1).softmax(-1).to(dtype)
    weight = torch.linspace(0.1, 2.0, width).to(device, dtype)
    arguments = [logits(3, width, dtype, device), target]
    compare("cross_entropy", arguments, (0, 1), dtype, weight=weight, label_smoothing=0.1)


@pytest.mark.parametrize("width", [3, 8, 21])
@pytest.mark.parametrize("p", [1.0, 2.0, float("inf"), 3.0])
def test_triplet_vectors_of_any_width(width, p, small_tiles, device):
    """Value and all three gradients, with swap."""
    arguments = [logits(3, width, torch.float32, device, seed) for seed in range(3)]
    compare("triplet_margin_loss", arguments, (0, 1, 2), torch.float32, p=p, swap=True)


def test_a_slice_of_a_wider_vocabulary(small_tiles, device):
    """Padded rows are read in place, and the padding is not written."""
    wide = logits(4, 24, torch.float32, device)
    before = wide.clone()
    compare("cross_entropy", [wide[:, :21].detach(), labels(4, 21, device)], (0,), torch.float32)
    assert torch.equal(wide, before)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_targets_and_weights_with_strides(reduction, device):
    """Targets and weights that are every other element of longer vectors."""
    target = labels(4, 5, device).repeat_interleave(2)[::2]
    weight = torch.linspace(0.1, 2.0, 10, device=device)[::2]
    options = {"weight": weight, "reduction": reduction}
    compare("cross_entropy", [logits(4, 5, torch.float32, device), target], (0,), torch.float32, **options)
    soft = logits(4, 5, torch.float32, device, seed=1).softmax(-1)
    compare("cross_entropy", [logits(4, 5, torch.float32, device), soft], (0, 1), torch.float32, **options)


def test_rows_that_are_not_aligned(small_tiles, device):
    """A view that starts at the second element of its memory."""
    flat = logits(1, 1 + 4 * 21, torch.bfloat16, device).flatten()
    compare("cross_entropy", [flat[1:].view(4, 21), labels(4, 21, device)], (0,), torch.bfloat16)


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 5, 2, 2)])
def test_classes_in_the_second_of_several_dimensions(shape, device):
    """Value and gradient of spatial logits (N, C, d1, ...)."""
    rows = torch.arange(2 * shape[2] * (shape[3] if len(shape) > 3 else 1), device=device)
    target = (rows % 5).reshape(shape[0], *shape[2:])
    input = logits(1, torch.Size(shape).numel(), torch.float32, device).reshape(shape)
    for reduction in ("mean", "none"):
        compare("cross_entropy", [input.detach().clone(), target], (0,), torch.float32, reduction=reduction)


def test_blocks_with_only_minus_infinity(small_tiles, device):
    """An online softmax must not give NaN for a block of impossible classes (Dao-AILab/flash-attention#1930)."""
    from lossimpl.kernels.triton import load

    input = torch.full((1, 64), float("-inf"), device=device)
    input[0, 40:42] = 0.0
    input.requires_grad_()
    loss = load("cross_entropy")(input, torch.tensor([40], device=device))
    loss.backward()
    assert float(loss) == pytest.approx(0.6931471805599453)  # log 2: two classes left, equally likely
    assert input.grad[0, 40:42].tolist() == [-0.5, 0.5]
    assert not input.grad[0, :40].any()


@pytest.mark.parametrize("margin", [10.0, 20.0, 40.0])
def test_a_confident_row_keeps_its_digits(margin, device):
    """loss = log(1 + 4 exp(-margin)) and 1 - p_target keep their digits far below float32's epsilon."""
    from lossimpl.kernels.triton import load

    input = torch.zeros(1, 5, device=device)
    input[0, 2] = margin
    input.requires_grad_()
    loss = load("cross_entropy")(input, torch.tensor([2], device=device))
    loss.backward()
    tail = 4 * torch.tensor(-margin, dtype=torch.double).exp()
    assert float(loss) == pytest.approx(float(tail.log1p()), rel=2e-6)
    assert float(input.grad[0, 2]) == pytest.approx(float(-tail / (1 + tail)), rel=2e-6)
