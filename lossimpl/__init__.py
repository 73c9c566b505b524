"""lossimpl: losses with interchangeable implementations, measured; see `lossimpl.functional` for each loss.

Everything public is here by name, and imported on first use: torch takes seconds, and `lossimpl --help` none.

    >>> import torch
    >>> import lossimpl
    >>> lossimpl.mse_loss(torch.ones(2), torch.zeros(2), implementation="torch")
    tensor(1.)
"""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False  # as type checkers know it; importing `typing` would take longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from typing import Any

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


class _WithTorch:
    """An import hook: registers the operators at the end of the import of torch, so that saved programs load.

    `import lossimpl` imports no torch, which takes seconds, and torch may be imported after it. The hook finds torch as
    the other finders do and adds one step to its loader; it is there until torch is imported.
    """

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """The spec of torch that the other finders give, its loader told to import the operators after torch."""
        if name != "torch":
            return None
        others = (one for one in sys.meta_path if one is not self)
        found: Any = next(filter(None, (one.find_spec(name, path, target) for one in others)), None)
        if found is not None and found.loader is not None:
            found.loader.exec_module = self.then_register(found.loader.exec_module)
        return found  # type: ignore[no-any-return]  # whatever the other finders gave

    def then_register(self, execute: Callable[[object], None]) -> Callable[[object], None]:
        """The execution of torch's module, then the registration."""

        def exec_module(module: object) -> None:
            execute(module)
            sys.meta_path.remove(self)
            importlib.import_module("lossimpl.operators")

        return exec_module


if "torch" in sys.modules:
    importlib.import_module("lossimpl.operators")
else:
    sys.meta_path.insert(0, _WithTorch())
