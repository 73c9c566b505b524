"""Every loss's tensor forms agree with torch.nn.functional, value and gradients, over the options of the signature.

Expected values come from torch, in float64, where torch's forms are numerically sound on the inputs drawn here.
"""

import itertools

import pytest
import torch
import torch.nn.functional as F

from lossimpl import get

REDUCTIONS = ("none", "mean", "sum")
OURS = ("naive", "vectorized")


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers in float64."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def value_and_gradients(function, tensors, **options):
    """The loss and the gradient of its weighted sum in every tensor that has one."""
    leaves = [one.clone().requires_grad_(one.is_floating_point()) for one in tensors]
    loss = function(*leaves, **options)
    weights = torch.arange(1.0, loss.numel() + 1, dtype=loss.dtype).reshape(loss.shape)
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    return loss.detach(), torch.autograd.grad((loss * weights).sum(), wanted, allow_unused=True)


def assert_same(name, implementation, expected, tensors, **options):
    """The implementation gives torch's value and gradients to float64 rounding."""
    function = get(name).implementations[implementation].load("cpu")
    got, expected = value_and_gradients(function, tensors, **options), value_and_gradients(expected, tensors, **options)
    torch.testing.assert_close(got[0], expected[0], rtol=1e-10, atol=1e-12, equal_nan=True)
    for ours, theirs in zip(got[1], expected[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("implementation", OURS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss"])
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_regression_losses(name, reduction, implementation):
    """Plain, broadcast, scalar, empty and weighted inputs."""
    function = getattr(F, name)
    for shape, other in [((4, 5), (4, 5)), ((4, 5), (5,)), ((3, 1), (1, 4)), ((), ()), ((0, 3), (0, 3))]:
        tensors = (2 * draw(*shape), draw(*other, seed=1))
        assert_same(name, implementation, function, tensors, reduction=reduction)
    if name != "smooth_l1_loss":
        weight = draw(4, 5, seed=2).abs()
        tensors = (2 * draw(4, 5), draw(4, 5, seed=1))
        assert_same(name, implementation, function, tensors, reduction=reduction, weight=weight)


@pytest.mark.parametrize("implementation", [*OURS, "native"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["l1_loss", "mse_loss", "huber_loss"])
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_weights_of_an_input_that_broadcasts(name, reduction, implementation):
    """The weighted mean of torch divides by the sum of the weights as given, of which there may be few or many."""
    for shape, other in [((1, 1), (11, 13)), ((1, 13), (20000, 13)), ((3, 1), (3, 4)), ((13, 1), (7, 13, 5))]:
        weight = draw(*shape, seed=2).exp()
        tensors = (2 * draw(*shape), draw(*other, seed=1))
        assert_same(name, implementation, getattr(F, name), tensors, reduction=reduction, weight=weight)


@pytest.mark.parametrize("implementation", OURS)
@pytest.mark.parametrize(("reduction", "size"), list(itertools.product(REDUCTIONS, (0.3, 1.0, 2.5))))
def test_breakpoints(reduction, size, implementation):
    """beta and delta move the breakpoint."""
    tensors = (3 * draw(6, 5), draw(6, 5, seed=1))
    assert_same("huber_loss", implementation, F.huber_loss, tensors, reduction=reduction, delta=size)
    assert_same("smooth_l1_loss", implementation, F.smooth_l1_loss, tensors, reduction=reduction, beta=size)


@pytest.mark.parametrize("implementation", OURS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, (5,), (4, 5), (4, 1)])
def test_binary_losses(weight, reduction, implementation):
    """Both binary cross entropies, with weights that broadcast, and pos_weight."""
    weight = None if weight is None else draw(*weight, seed=3).abs()
    logits, target = draw(4, 5), draw(4, 5, seed=1).sigmoid()
    options = {"weight": weight, "reduction": reduction}
    name = "binary_cross_entropy"
    assert_same(name, implementation, F.binary_cross_entropy, (logits.sigmoid(), target), **options)
    name, expected = "binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits
    assert_same(name, implementation, expected, (logits, target), **options)
    pos_weight = draw(5, seed=4).abs()
    assert_same(name, implementation, expected, (logits, target), pos_weight=pos_weight, **options)


@pytest.mark.parametrize("implementation", OURS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(7, 5), (5,), (3, 5, 2), (2, 5, 2, 3), (0, 5), (4, 1)])
def test_cross_entropy(shape, smoothing, weighted, reduction, implementation):
    """Class indices with an ignored one, and probabilities, over every rank."""
    classes = shape[1] if len(shape) > 1 else shape[0]
    target_shape = (shape[0], *shape[2:]) if len(shape) > 1 else ()
    labels = torch.randint(0, classes, target_shape, generator=torch.Generator().manual_seed(5))
    if labels.numel() > 2:
        labels.view(-1)[1] = -100
    weight = draw(classes, seed=6).abs() if weighted else None
    options = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    logits = 2 * draw(*shape)
    assert_same("cross_entropy", implementation, F.cross_entropy, (logits, labels), **options)
    probabilities = draw(*shape, seed=7).softmax(1 if len(shape) > 1 else 0)
    assert_same("cross_entropy", implementation, F.cross_entropy, (logits, probabilities), **options)


@pytest.mark.parametrize("implementation", OURS)
@pytest.mark.parametrize("ignore_index", [0, -1, 2, -100])
def test_ignore_index_may_be_a_class(ignore_index, implementation):
    """Rows of the ignored label count nowhere, also where the label is a class."""
    labels = torch.tensor([0, 1, 2, ignore_index])
    tensors = (draw(4, 5), labels)
    assert_same("cross_entropy", implementation, F.cross_entropy, tensors, ignore_index=ignore_index)


@pytest.mark.parametrize("implementation", OURS)
def test_a_smoothing_of_one_leaves_nothing_of_the_label(implementation):
    """An impossible class costs infinitely much whether it is the target or not; torch has NaN, 0 times infinity."""
    logits = torch.tensor([[-torch.inf, 0.0, 1.0]])
    function = get("cross_entropy").implementations[implementation].load("cpu")
    for label in range(3):
        loss, (gradient,) = value_and_gradients(function, (logits, torch.tensor([label])), label_smoothing=1.0)
        assert loss == torch.inf
        torch.testing.assert_close(gradient, logits.softmax(1) - 1 / 3)


@pytest.mark.parametrize("implementation", OURS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_softmax_focal_reduces_to_cross_entropy(reduction, implementation):
    """With gamma = 0 and no alpha it is torch's cross entropy; an ignored row leaves the mean's divisor."""
    labels = torch.tensor([0, 4, -100, 2])

    def expected(input, target, **options):
        return F.cross_entropy(input, target, reduction=options["reduction"])

    tensors = (draw(4, 5), labels)
    assert_same("softmax_focal_loss", implementation, expected, tensors, gamma=0.0, reduction=reduction)


@pytest.mark.parametrize("implementation", OURS)
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 3.7])
def test_softmax_focal_is_its_formula(gamma, implementation):
    """Against the formula itself in float64, where p is far from 0 and 1, with alpha as number and as tensor."""
    labels = torch.tensor([0, 4, 1, 2])
    for alpha in (0.3, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5], dtype=torch.float64)):

        def expected(input, target, alpha=alpha, **options):
            p = input.softmax(1)[torch.arange(4), target]
            factor = alpha if isinstance(alpha, float) else alpha[target]
            return (-factor * (1 - p) ** options["gamma"] * p.log()).mean()

        tensors = (draw(4, 5), labels)
        assert_same("softmax_focal_loss", implementation, expected, tensors, gamma=gamma, alpha=alpha)


@pytest.mark.parametrize("implementation", OURS)
@pytest.mark.parametrize(("alpha", "gamma"), list(itertools.product((-1.0, 0.0, 0.25, 1.0), (0.0, 0.5, 2.0))))
def test_sigmoid_focal_is_its_formula(alpha, gamma, implementation):
    """Against the paper's formula in float64, where p is far from 0 and 1; soft targets too."""

    def expected(inputs, targets, **options):
        p = inputs.sigmoid()
        p_t = p * targets + (1 - p) * (1 - targets)
        loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * (1 - p_t) ** options["gamma"]
        alpha_t = options["alpha"] * targets + (1 - options["alpha"]) * (1 - targets)
        return (alpha_t * loss if options["alpha"] >= 0 else loss).sum()

    for targets in (draw(4, 5, seed=1).sigmoid(), (draw(4, 5, seed=1) > 0).double()):
        tensors = (draw(4, 5), targets)
        options = {"alpha": alpha, "gamma": gamma, "reduction": "sum"}
        assert_same("sigmoid_focal_loss", implementation, expected, tensors, **options)


@pytest.mark.parametrize("implementation", OURS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_log_cosh_is_its_formula(reduction, implementation):
    """Against log(cosh d) in float64 for moderate d."""

    def expected(input, target, **options):
        loss = (input - target).cosh().log()
        return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[options["reduction"]]

    assert_same("log_cosh_loss", implementation, expected, (3 * draw(4, 5), draw(5, seed=1)), reduction=reduction)


@pytest.mark.parametrize("implementation", OURS)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, float("inf")])
def test_triplet(p, swap, implementation):
    """Every norm, with and without swap, over ranks and broadcasting."""
    for shapes in [((6, 4),) * 3, ((4,),) * 3, ((2, 3, 4),) * 3, ((6, 4), (1, 4), (6, 4)), ((0, 4),) * 3]:
        tensors = [draw(*shape, seed=seed) for seed, shape in enumerate(shapes)]
        for reduction in REDUCTIONS:
            options = {"p": p, "swap": swap, "margin": 0.7, "reduction": reduction}
            assert_same("triplet_margin_loss", implementation, F.triplet_margin_loss, tensors, **options)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(dtype):
    """bf16 cross entropy is the float64 loss of the same logits rounded to nearest (torch's eager is a step off)."""
    logits = (6 * draw(8, 30)).to(dtype)
    labels = torch.arange(8)
    exact = F.cross_entropy(logits.double(), labels, reduction="none")
    for implementation in OURS:
        function = get("cross_entropy").implementations[implementation].load("cpu")
        assert torch.equal(function(logits, labels, reduction="none"), exact.to(dtype))


def test_half_precision_sums_do_not_overflow_on_the_way():
    """100,000 float16 differences of 2: mean 4; the sum, 400,000, is beyond float16 and infinite."""
    x, y = torch.full((100_000,), 2.0, dtype=torch.float16), torch.zeros(100_000, dtype=torch.float16)
    for implementation in ("naive", "vectorized"):
        function = get("mse_loss").implementations[implementation].load("cpu")
        shape = (100, 1000)
        assert function(x.view(shape), y.view(shape)).item() == 4.0
        assert function(x.view(shape), y.view(shape), reduction="sum").item() == float("inf")
