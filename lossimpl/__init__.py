"""lossimpl: losses with interchangeable implementations, measured; see `lossimpl.functional` for each loss.

Everything public is here by name, and imported on first use: torch takes seconds, and `lossimpl --help` none.

    >>> import torch
    >>> import lossimpl
    >>> lossimpl.mse_loss(torch.ones(2), torch.zeros(2), implementation="torch")
    tensor(1.)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossimpl import nn
    from lossimpl.comparison import Comparison, compare
    from lossimpl.dispatch import Choice, choose, compute
    from lossimpl.functional import (
        binary_cross_entropy,
        binary_cross_entropy_with_logits,
        cross_entropy,
        huber_loss,
        l1_loss,
        log_cosh_loss,
        mse_loss,
        sigmoid_focal_loss,
        smooth_l1_loss,
        softmax_focal_loss,
        triplet_margin_loss,
    )
    from lossimpl.patching import patch
    from lossimpl.registry import LOSSES, get, register, register_loss
    from lossimpl.spec import (
        ELEMENTWISE,
        OVER_CLASSES,
        OVER_VECTORS,
        Case,
        Implementation,
        Loss,
        Shapes,
        Unavailable,
    )

    __version__: str

__all__ = [
    "ELEMENTWISE",
    "LOSSES",
    "OVER_CLASSES",
    "OVER_VECTORS",
    "Case",
    "Choice",
    "Comparison",
    "Implementation",
    "Loss",
    "Shapes",
    "Unavailable",
    "__version__",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "choose",
    "compare",
    "compute",
    "cross_entropy",
    "get",
    "huber_loss",
    "l1_loss",
    "log_cosh_loss",
    "mse_loss",
    "nn",
    "patch",
    "register",
    "register_loss",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
    "softmax_focal_loss",
    "triplet_margin_loss",
]

HOMES = {
    "lossimpl.comparison": ("Comparison", "compare"),
    "lossimpl.dispatch": ("Choice", "choose", "compute"),
    "lossimpl.patching": ("patch",),
    "lossimpl.registry": ("LOSSES", "get", "register", "register_loss"),
    "lossimpl.spec": (
        "ELEMENTWISE",
        "OVER_CLASSES",
        "OVER_VECTORS",
        "Case",
        "Implementation",
        "Loss",
        "Shapes",
        "Unavailable",
    ),
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home; from then on it is an ordinary attribute."""
    if name not in __all__:
        raise AttributeError(unknown(name))
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("lossimpl")
    if name == "nn":
        return importlib.import_module("lossimpl.nn")
    home = next((module for module, names in HOMES.items() if name in names), "lossimpl.functional")
    globals()[name] = getattr(importlib.import_module(home), name)
    return globals()[name]


def unknown(name: str) -> str:
    """What is wrong with a name, and the nearest public ones."""
    near = importlib.import_module("difflib").get_close_matches(name, __all__)
    return f"module 'lossimpl' has no attribute {name!r}" + f": did you mean {' or '.join(near)}?" * bool(near)


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})
