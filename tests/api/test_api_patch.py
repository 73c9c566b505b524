"""`lossimpl.patch`: torch's loss functions replaced, called in every way that torch allows, and put back exactly."""

import pytest
import torch
from torch.nn import functional

import lossimpl
from lossimpl import dispatch, patching
from lossimpl.inputs import make

COMPLEX = torch.tensor([3 + 4j, 0j])
X, Y = torch.tensor([[2.0, 0.0, 1.0], [0.5, 3.0, 1.0]]), torch.tensor([0, 2])


@pytest.fixture
def calls(monkeypatch):
    """The losses that were called through lossimpl, in order."""
    seen, plain = [], dispatch.call
    monkeypatch.setattr("lossimpl.functional.call", lambda name, *rest: seen.append(name) or plain(name, *rest))
    return seen


def test_functions_and_modules_are_ours_until_the_block_ends(calls):
    """`torch.nn`'s modules look their function up in `torch.nn.functional`, so both change and both change back."""
    before = {name: getattr(functional, name) for name in patching.REPLACED}
    module = torch.nn.CrossEntropyLoss()
    expected = module(X, Y)
    with lossimpl.patch():
        torch.testing.assert_close(functional.cross_entropy(X, Y), expected)
        torch.testing.assert_close(module(X, Y), expected)
    assert calls == ["cross_entropy"] * 2
    assert {name: getattr(functional, name) for name in patching.REPLACED} == before


def test_every_loss_that_both_have_is_replaced():
    """The names of torch 2's `torch.nn.functional` that are losses of ours."""
    assert set(patching.REPLACED) == {
        *("cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits", "l1_loss", "mse_loss"),
        *("smooth_l1_loss", "huber_loss", "triplet_margin_loss"),
    }


@pytest.mark.parametrize("name", patching.REPLACED)
def test_torchs_own_stays_torchs(name):
    """With `F.loss = lossimpl.loss` complex input recursed without end: `torch` looked its function up when called."""
    loss = lossimpl.get(name)
    given = make(lossimpl.Case(name, (4, 3)))
    expected = getattr(functional, name)(*(given[one] for one in loss.tensors))
    with lossimpl.patch():
        for implementation in ("torch", "torch-compiled")[: 1 + (name == "l1_loss")]:
            result = getattr(lossimpl, name)(*(given[one] for one in loss.tensors), implementation=implementation)
            torch.testing.assert_close(result, expected)


MODULES = {
    **{"cross_entropy": torch.nn.CrossEntropyLoss, "binary_cross_entropy": torch.nn.BCELoss},
    **{"binary_cross_entropy_with_logits": torch.nn.BCEWithLogitsLoss, "l1_loss": torch.nn.L1Loss},
    **{"mse_loss": torch.nn.MSELoss, "smooth_l1_loss": torch.nn.SmoothL1Loss, "huber_loss": torch.nn.HuberLoss},
    "triplet_margin_loss": torch.nn.TripletMarginLoss,
}


@pytest.mark.parametrize("name", patching.REPLACED)
@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
def test_torchscript_compiles_torchs_function(name):
    """Its compiler read torch's source with our names in it: "undefined value has_torch_function_variadic"."""
    loss = lossimpl.get(name)
    given = make(lossimpl.Case(name, (4, 3)))
    tensors = [given[one] for one in loss.tensors]
    expected = MODULES[name]()(*tensors)
    with lossimpl.patch():
        compiled = torch.jit.script(MODULES[name]())
    torch.testing.assert_close(compiled(*tensors), expected, rtol=0, atol=0)


def test_complex_input_reaches_torch():
    """|3 + 4i| = 5, averaged with 0."""
    with lossimpl.patch():
        assert functional.l1_loss(COMPLEX, torch.zeros(2, dtype=torch.complex64)).item() == 2.5


@pytest.mark.filterwarnings("ignore:size_average and reduce args")
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((X, Y, None, False), {}),
        ((X, Y), {"reduce": False}),
        ((X, Y, torch.tensor([1.0, 2.0, 3.0]), None, 2, None, "sum", 0.1), {}),
        ((X, Y), {"label_smoothing": 0.1, "reduction": "none"}),
    ],
)
def test_torchs_positions_and_deprecated_arguments(arguments, options):
    """`size_average` is the fourth and `reduce` the sixth argument of torch's cross entropy."""
    expected = functional.cross_entropy(*arguments, **options)
    with lossimpl.patch():
        torch.testing.assert_close(functional.cross_entropy(*arguments, **options), expected)


@pytest.mark.parametrize(
    ("arguments", "options"), [((), {}), ((X, X), {"input": X}), ((X,) * 7, {}), ((X, X), {"gamma": 1})]
)
def test_arguments_that_torch_refuses_are_refused(arguments, options):
    """Missing, doubled, one too many, unknown: a TypeError, as without the patch."""
    with lossimpl.patch(), pytest.raises(TypeError):
        functional.mse_loss(*arguments, **options)


def test_undone_once_and_in_order():
    """An inner patch ends before the outer one, and a second undo changes nothing."""
    torchs = functional.mse_loss
    outer = lossimpl.patch()
    inner = lossimpl.patch("vectorized")
    with pytest.raises(RuntimeError, match="was replaced again since"):
        outer.undo()
    inner.undo()
    outer.undo()
    outer.undo()
    assert functional.mse_loss is torchs


def test_an_implementation_that_a_loss_lacks_is_refused_before_anything_changes():
    """torchvision has one loss only."""
    torchs = functional.mse_loss
    with pytest.raises(ValueError, match="implementation 'torchvision': for cross_entropy it must be one of auto"):
        lossimpl.patch("torchvision")
    assert functional.mse_loss is torchs


def test_a_function_that_someone_else_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in torch's place may have any name, as a wrapper that counts calls has."""
    monkeypatch.setattr(torch.nn.functional, "mse_loss", lambda *arguments: torch.zeros(()))
    with lossimpl.patch(implementation="vectorized"):
        assert torch.nn.functional.mse_loss(torch.ones(2), torch.zeros(2)) == 1
