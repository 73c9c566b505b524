"""The eleven losses as Triton kernels for CUDA: `available()`, and `load(name)` for a loss's function.

| file | contents |
|---|---|
| `numerics.py`, `pointwise.py` | scalar functions, and one element of each elementwise loss |
| `elementwise.py`, `classes.py`, `probabilities.py`, `triplet.py` | the kernels: over elements, class rows, vectors |
| `class_tiles.py`, `parts.py` | parts of the kernels over class rows: tiles of a row, rows shared by programs |
| `reduce.py`, `sums.py` | sums in a fixed order; scaling of a saved gradient |
| `tuning.py` | every block size, with its reason |
| `operators.py`, `*_operator.py` | registration with torch, the autograd rule |
| `*_losses.py`, `support.py`, `rows.py` | the losses' functions, their checks and layouts |

Triton is not imported until `load` is called. If `TRITON_INTERPRET=1` is set before Triton is imported, the kernels run
on CPU tensors in Triton's interpreter: slowly, but testable without a GPU.

Class targets outside [0, classes) that are not `ignore_index`, and probabilities outside [0, 1], trigger a device
assert, as in torch's CUDA kernels; on CPU tensors (interpreter) they raise torch's error.
"""

from __future__ import annotations

import functools
import importlib.util
import os

from lossimpl.kernels.contract import checked, module_of
from lossimpl.spec import Function

LOSSES = {
    "cross_entropy": "class_losses",
    "binary_cross_entropy": "elementwise_losses",
    "binary_cross_entropy_with_logits": "elementwise_losses",
    "sigmoid_focal_loss": "elementwise_losses",
    "softmax_focal_loss": "class_losses",
    "l1_loss": "elementwise_losses",
    "mse_loss": "elementwise_losses",
    "smooth_l1_loss": "elementwise_losses",
    "huber_loss": "elementwise_losses",
    "log_cosh_loss": "elementwise_losses",
    "triplet_margin_loss": "triplet_losses",
}


def available() -> str | None:
    """Why the kernels cannot run here, or None.

    >>> reason = available()
    >>> reason is None or isinstance(reason, str)
    True
    """
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return None
    import torch

    return None if torch.cuda.is_available() else "no CUDA device"


@functools.cache
def load(name: str) -> Function:
    """The Triton implementation of the loss `name`, with the loss's own arguments and defaults."""
    function: Function = getattr(importlib.import_module(f"{__name__}.{LOSSES[name]}"), name)
    function.__defaults__ = module_of(name).check.__defaults__
    return checked(function, name)
