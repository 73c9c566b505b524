"""Bad input raises torch's error type, and the message names the argument, the value and what is allowed.

Error types were read off torch 2.13 with the same arguments, and are compared with torch's where it has the loss.
"""

import pytest
import torch
import torch.nn.functional as F

import lossimpl

X, Y = torch.zeros(3, 5), torch.zeros(3, 5)
LABELS = torch.tensor([0, 4, 2])
NAN = float("nan")

BAD = [
    ("mse_loss", (X, Y), {"reduction": "abc"}, "abc is not a valid value for reduction.*'none', 'mean' or 'sum'"),
    ("mse_loss", (X, torch.zeros(4)), {}, r"input has shape \[3, 5\] and target \[4\]"),
    ("mse_loss", (X.long(), Y.long()), {}, "input has dtype torch.int64.*torch.float32"),
    ("mse_loss", (X, Y), {"weight": torch.zeros(5)}, r"weight has shape \[5\], input \[3, 5\]"),
    ("l1_loss", (X, torch.zeros(4)), {}, r"input has shape \[3, 5\] and target \[4\]"),
    ("l1_loss", (X, Y), {"weight": torch.zeros(5)}, r"weight has shape \[5\]"),
    ("smooth_l1_loss", (X, Y), {"beta": -1.0}, "beta=-1.0, allowed: >= 0"),
    ("smooth_l1_loss", (X, Y), {"beta": NAN}, "beta=nan, allowed: >= 0"),
    ("smooth_l1_loss", (X, Y), {"beta": "1"}, "beta must be a number, got '1'"),
    ("huber_loss", (X, Y), {"delta": 0.0}, "delta=0.0, allowed: > 0"),
    ("huber_loss", (X, Y), {"delta": -1.0}, "delta=-1.0, allowed: > 0"),
    ("binary_cross_entropy", (X, torch.zeros(3)), {}, "target must have input's shape"),
    ("binary_cross_entropy", (X + 1.5, Y), {}, "all elements of input should be between 0 and 1, got 1.5"),
    ("binary_cross_entropy", (X, Y - 0.5), {}, "all elements of target should be between 0 and 1, got -0.5"),
    ("binary_cross_entropy", (X, Y + NAN), {}, "all elements of target should be between 0 and 1, got nan"),
    ("binary_cross_entropy", (X, Y.double()), {}, "torch.float64 for target but expected input's torch.float32"),
    ("binary_cross_entropy", (X, Y), {"weight": torch.zeros(3)}, r"weight has shape \[3\]"),
    ("binary_cross_entropy_with_logits", (X, torch.zeros(3)), {}, "must be the same as input size"),
    ("binary_cross_entropy_with_logits", (X, Y), {"pos_weight": torch.zeros(3)}, r"pos_weight has shape \[3\]"),
    ("cross_entropy", (X, torch.tensor([0, 5, 1])), {}, "Target 5 is out of bounds: target must lie in 0..4"),
    ("cross_entropy", (X, torch.tensor([0, -1, 1])), {}, "Target -1 is out of bounds"),
    ("cross_entropy", (X, torch.tensor([0, 1])), {}, r"input batch_size \(3\) to match target batch_size \(2\)"),
    ("cross_entropy", (X, LABELS.int()), {}, "expected target dtype to be Long or Byte, but got torch.int32"),
    ("cross_entropy", (X, LABELS), {"label_smoothing": 1.1}, "between 0.0 and 1.0. Got: 1.1"),
    ("cross_entropy", (X, LABELS), {"weight": torch.zeros(4)}, r"all 5 classes.*weight tensor of shape: \[4\]"),
    ("cross_entropy", (X, LABELS), {"weight": torch.zeros(5).double()}, "torch.float32 but found torch.float64"),
    ("cross_entropy", (X, X.softmax(1)), {"ignore_index": 0}, "got ignore_index=0 with class probabilities"),
    ("cross_entropy", (torch.zeros(2, 3, 4), torch.zeros(2, 5).long()), {}, r"Expected target size \[2, 4\]"),
    ("triplet_margin_loss", (X, Y, Y), {"margin": 0.0}, "margin must be greater than 0, got 0.0"),
    ("triplet_margin_loss", (X, Y[0], Y), {}, "anchor 2D, positive 1D, and negative 2D"),
    (
        "triplet_margin_loss",
        (X[:, :0], Y[:, :1], Y[:, :0]),
        {"p": float("inf")},
        r"p must be finite.*got p=inf.*\[3, 0\]",
    ),
    ("triplet_margin_loss", (X, Y[:, :4], Y), {}, r"anchor has shape \[3, 5\] and positive \[3, 4\]"),
]
OWN = [
    ("sigmoid_focal_loss", (X, Y), {"gamma": -1.0}, ValueError, "gamma must be at least 0, got -1.0"),
    ("sigmoid_focal_loss", (X, Y), {"alpha": 1.5}, ValueError, "alpha must be at most 1.*got 1.5"),
    ("sigmoid_focal_loss", (X, torch.zeros(3)), {}, ValueError, "must be the same as input size"),
    ("softmax_focal_loss", (X, LABELS), {"gamma": -1.0}, ValueError, "gamma must be at least 0, got -1.0"),
    ("softmax_focal_loss", (X, LABELS + 3), {}, IndexError, "Target 7 is out of bounds"),
    ("softmax_focal_loss", (X, LABELS), {"alpha": torch.zeros(4)}, RuntimeError, r"alpha tensor of shape: \[4\]"),
    ("log_cosh_loss", (X, torch.zeros(4)), {}, RuntimeError, r"input has shape \[3, 5\] and target \[4\]"),
    ("mse_loss", ([1.0], Y), {}, TypeError, "input must be a torch.Tensor, got list"),
    ("cross_entropy", (X, None), {}, TypeError, "target must be a torch.Tensor, got NoneType"),
    ("l1_loss", (X, Y.to("meta")), {}, RuntimeError, "input is on cpu, target on meta"),
]
SERVING = ("naive", "vectorized", "torch", "auto")


@pytest.mark.parametrize("implementation", SERVING)
@pytest.mark.parametrize(("name", "tensors", "options", "message"), BAD)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_bad_input_raises_torchs_error(name, tensors, options, message, implementation):
    """Same type as torch raises for the same call; a message that helps."""
    with pytest.raises(Exception) as torchs:  # noqa: PT011  # its type is what the test reads off torch
        getattr(F, name)(*tensors, **options)
    with pytest.raises(torchs.type, match=message):
        getattr(lossimpl, name)(*tensors, **options, implementation=implementation)


@pytest.mark.parametrize("implementation", SERVING)
@pytest.mark.parametrize(("name", "tensors", "options", "error", "message"), OWN)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_bad_input_where_torch_has_no_contract(name, tensors, options, error, message, implementation):
    """The losses that torch lacks, and arguments that torch reports by an accident of its code."""
    if implementation not in (*lossimpl.get(name).implementations, "auto"):
        implementation = "vectorized"
    with pytest.raises(error, match=message):
        getattr(lossimpl, name)(*tensors, **options, implementation=implementation)
