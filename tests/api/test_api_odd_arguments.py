"""What torch refuses every implementation refuses, in the same words; what torch accepts gives torch's result.

Expected outcomes are those of torch.nn.functional for the same call. The odd values are crossed with every option and
every tensor of the losses that torch has. Two differences are meant: a smoothing outside the documented [0, 1] is
refused, and a norm or an eps so large that torch's result is NaN has a value here.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import lossimpl
from lossimpl.arguments import described, options_of

X = torch.tensor([[0.3, -1.0, 2.0, 0.5], [1.0, 0.2, -0.7, 0.0], [0.1, 0.9, 0.4, -2.0]])
Y = torch.tensor([[0.0, 1.0, 1.0, 0.5], [1.0, 0.25, 1.0, 0.0], [0.0, 0.9, 0.4, 0.2]])
LABELS = torch.tensor([0, 3, 2])
TENSORS = {
    "cross_entropy": (X, LABELS),
    "softmax_focal_loss": (X, LABELS),
    "binary_cross_entropy": (X.sigmoid(), Y),
    "triplet_margin_loss": (X, Y, Y.flip(0)),
}
SCALARS = [
    None,
    True,
    False,
    0,
    1,
    2,
    -1,
    0.5,
    -0.5,
    math.nan,
    math.inf,
    -math.inf,
    "0.1",
    "",
    b"mean",
    1j,
    [1.0],
    (),
    {},
]
SCALARS += [10**30, 2**63, -(2**63) - 1, object, np.float64(0.5), np.float32(0.5), np.int64(1), np.bool_(True)]
SCALARS += [np.array(0.5), np.array([0.5]), torch.tensor(0.5), torch.tensor(1), torch.tensor(True), torch.tensor([0.5])]
SCALARS += [torch.tensor(0.5, requires_grad=True), torch.ones(3, 4), torch.ones(0)]
SERVING = ("naive", "vectorized", "torch", "torch-compiled", "native", "auto")
REFUSALS = (TypeError, ValueError, RuntimeError)  # NotImplementedError is a RuntimeError


def tensors_of(name):
    """Good tensors of a loss."""
    return TENSORS.get(name, (X, Y))


def outcome(function, *arguments, **options):
    """The result, or the error."""
    try:
        return function(*arguments, **options)
    except Exception as error:  # whatever it is: its type is what is compared
        return error


def outcomes(name, tensors, options):
    """What each implementation that needs no compiling for this call makes of it."""
    function = getattr(lossimpl, name)
    found = {"auto": outcome(function, *tensors, **options)}
    for one in SERVING[:-1]:
        compiles = one == "torch-compiled" and not isinstance(found["auto"], Exception)
        if one in lossimpl.get(name).implementations and not compiles:
            found[one] = outcome(function, *tensors, **options, implementation=one)
    return found


def assert_as_torch(name, tensors, options, mentions):
    """Every implementation does what torch does."""
    found = outcomes(name, tensors, options)
    torchs = outcome(getattr(F, name), *tensors, **options) if hasattr(F, name) else found["vectorized"]
    if isinstance(torchs, Exception):
        said = {f"{type(one).__name__}: {one}" if isinstance(one, Exception) else one for one in found.values()}
        assert len(said) == 1, said
        assert isinstance(found["auto"], REFUSALS), found
        assert mentions in str(found["auto"])
        return
    for one in found.values():
        assert not isinstance(one, Exception), one
        torch.testing.assert_close(one, torchs, rtol=1e-5, atol=1e-6, equal_nan=True)


def meant(name, option, value):
    """Whether ours differs from torch on purpose."""
    number = isinstance(value, int | float)
    if option == "label_smoothing":
        return number and not 0 <= value <= 1
    return option in ("p", "eps") and number and math.isfinite(value) and abs(value) >= 2**63


def option_calls():
    """Every option of every loss with every odd value."""
    for name, loss in lossimpl.LOSSES.items():
        for _, option, types in options_of(loss.check):
            for value in SCALARS:
                if not meant(name, option, value) and not (torch.Tensor in types and isinstance(value, torch.Tensor)):
                    yield pytest.param(name, option, value, id=f"{name}-{option}-{described(value)}")


@pytest.mark.parametrize(("name", "option", "value"), list(option_calls()))
def test_an_odd_option_is_torchs(name, option, value):
    """Refused with the option named, or the same number as torch computes."""
    assert_as_torch(name, tensors_of(name), {option: value}, option)


@pytest.mark.parametrize("value", [one for one in SCALARS if one is not None], ids=described)
@pytest.mark.parametrize("name", list(lossimpl.LOSSES))
def test_an_odd_reduction_is_refused_alike(name, value):
    """Nothing but the three words is a reduction."""
    said = {f"{type(one).__name__}: {one}" for one in outcomes(name, tensors_of(name), {"reduction": value}).values()}
    assert len(said) == 1
    assert "must be 'none', 'mean' or 'sum'" in said.pop()


@pytest.mark.parametrize("value", [None, 3, "", "fastest", ["native"], torch.ones(2)], ids=described)
def test_an_odd_implementation_is_refused(value):
    """The name of one that exists."""
    with pytest.raises((TypeError, ValueError), match="implementation"):
        lossimpl.l1_loss(X, Y, implementation=value)


def odd_tensors(good):
    """Other types of the same values, other layouts, other shapes, no tensors at all."""
    yield from (None, 1.0, good.numpy(), good.tolist())
    yield from (good.bool(), good.int(), good.to(torch.uint8), good.to_sparse())
    yield from (good[:2], good[:0])


def tensor_calls():
    """Every tensor of every loss, replaced by odd ones; sparse ones, which torch takes by accident, are refused."""
    for name, loss in lossimpl.LOSSES.items():
        for place, argument in enumerate(loss.tensors):
            for value in odd_tensors(tensors_of(name)[place]):
                kind = str(value.dtype) + str(value.layout) if isinstance(value, torch.Tensor) else ""
                yield pytest.param(name, place, value, id=f"{name}-{argument}-{described(value)}{kind}")


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize(("name", "place", "value"), list(tensor_calls()))
def test_an_odd_tensor_is_torchs(name, place, value):
    """Refused in the same words, or the same number as torch computes."""
    tensors = (*tensors_of(name)[:place], value, *tensors_of(name)[place + 1 :])
    if isinstance(value, torch.Tensor) and value.is_sparse:
        found = outcomes(name, tensors, {}).values()
        assert {type(one) for one in found} == {NotImplementedError}
        assert all("layout torch.sparse_coo" in str(one) for one in found)
    else:
        assert_as_torch(name, tensors, {}, "")


@pytest.mark.parametrize(
    ("name", "option", "shape"),
    [
        ("cross_entropy", "weight", (4,)),
        ("binary_cross_entropy", "weight", (3, 4)),
        ("binary_cross_entropy_with_logits", "weight", (3, 4)),
        ("binary_cross_entropy_with_logits", "pos_weight", (4,)),
    ],
)
def test_a_weight_that_asks_for_a_gradient(name, option, shape):
    """Refused as torch refuses it; without a gradient mode torch takes it, and so do all."""
    options = {option: torch.ones(shape, requires_grad=True)}
    assert_as_torch(name, tensors_of(name), options, option)
    with torch.no_grad():
        assert_as_torch(name, tensors_of(name), options, option)
