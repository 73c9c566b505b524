"""MAE at an error of zero: no derivative, and the subgradient that each library takes."""

import importlib.util

import numpy as np
import torch

import lossimpl
from lossimpl.claims.support.losses import mae
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source

STEP = 2.0**-20


def experiment(seed: int) -> Measured:
    """One-sided differences at zero, then the gradient at zero of every implementation and library that is here."""
    zero = torch.zeros(1, dtype=torch.float64)
    left, right = (float((mae(zero + h, zero) - mae(zero, zero)) / h) for h in (-STEP, STEP))
    taken = {**of_losses(), "torch.abs": of_abs(), **of_scikit_learn()}
    others = [value for name, value in taken.items() if name.startswith("scikit-learn")]
    ours = [value for name, value in taken.items() if not name.startswith("scikit-learn")]
    samples = {
        "jump": [right - left],
        "zero": [max(map(abs, ours))],
        "elsewhere": [max(map(abs, others), default=0.0)],
    }
    points = [Point("gradient at an error of 0", name, value) for name, value in taken.items()]
    points += [
        Point("one-sided difference", "from the left", left),
        Point("one-sided difference", "from the right", right),
    ]
    return Measured(samples, Curves("", "derivative", points))


def of_losses() -> dict[str, float]:
    """The gradient of l1_loss at zero, of each implementation that needs no compiler."""
    found = {}
    for name in ("naive", "vectorized", "torch"):
        x = torch.zeros(1, requires_grad=True)
        lossimpl.l1_loss(x, torch.zeros(1), implementation=name).backward()  # type: ignore[no-untyped-call]  # torch's
        assert x.grad is not None
        found[f"l1_loss, {name}"] = x.grad.item()
    return found


def of_abs() -> float:
    """The gradient of torch.abs at zero."""
    x = torch.zeros(1, requires_grad=True)
    return float(torch.autograd.grad(x.abs().sum(), x)[0])


def of_scikit_learn() -> dict[str, float]:
    """The gradient of the loss of scikit-learn's boosting, if this scikit-learn has it where it was in 2025."""
    if importlib.util.find_spec("sklearn") is None or importlib.util.find_spec("sklearn._loss") is None:
        return {}
    from sklearn._loss import AbsoluteError

    gradient = AbsoluteError().gradient(y_true=np.zeros(1), raw_prediction=np.zeros(1))
    return {"scikit-learn, AbsoluteError": float(gradient[0])}


CLAIM = Claim(
    statement="MAE is not differentiable at an error of 0; libraries take the subgradient 0 there.",
    source=Source(
        "PyTorch documentation, Autograd mechanics, Gradients for non-differentiable functions",
        2026,
        "https://docs.pytorch.org/docs/stable/notes/autograd.html",
    ),
    criteria={
        "jump": Criterion("jump of the derivative at 0", 2.0, 2.0),
        "zero": Criterion("largest gradient at 0 of torch and lossimpl", 0.0, 0.0),
        "elsewhere": Criterion(
            "largest gradient at 0 of scikit-learn's AbsoluteError",
            0.0,
            0.0,
            only_when="the library is PyTorch or lossimpl; scikit-learn's boosting takes -1",
        ),
    },
    experiment=experiment,
)
