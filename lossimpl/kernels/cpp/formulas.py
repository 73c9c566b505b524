"""What serves the operators where the C++ kernels do not: the losses' tensor forms, for every device and transform.

Second derivatives, forward-mode derivatives, `torch.func` transforms, tensors of other devices, and programs loaded
where nothing can be built: all of them compute `vectorized`, so that one set of formulas keeps every hard case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lossimpl.arguments import is_transformed
from lossimpl.kernels.contract import module_of
from lossimpl.kernels.cpp import has_kernels
from lossimpl.losses import cross_entropy as cross_entropies
from lossimpl.losses import softmax_focal_loss as focal_losses
from lossimpl.losses._checks import require_tensors, require_unit_interval
from lossimpl.losses._classes import check_class_shapes, check_class_weight, check_labels
from lossimpl.operators import LOSSES, NAMES

REDUCTIONS = ("none", "mean", "sum")  # kNone, kMean, kSum in csrc/call.h
PAIR_LOSSES: tuple[tuple[str, Callable[..., dict[str, Any]]], ...] = (  # PairLoss in csrc/kernels.h, and its options
    ("l1_loss", lambda weight, pos_weight, alpha, beta: {"weight": weight}),
    ("mse_loss", lambda weight, pos_weight, alpha, beta: {"weight": weight}),
    ("smooth_l1_loss", lambda weight, pos_weight, alpha, beta: {"beta": beta}),
    ("huber_loss", lambda weight, pos_weight, alpha, beta: {"delta": beta, "weight": weight}),
    ("log_cosh_loss", lambda weight, pos_weight, alpha, beta: {}),
    ("binary_cross_entropy", lambda weight, pos_weight, alpha, beta: {"weight": weight}),
    (
        "binary_cross_entropy_with_logits",
        lambda weight, pos_weight, alpha, beta: {"weight": weight, "pos_weight": pos_weight},
    ),
    ("sigmoid_focal_loss", lambda weight, pos_weight, alpha, beta: {"alpha": alpha, "gamma": beta}),
)


def elementwise(
    loss: int,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    alpha: float,
    beta: float,
    reduction: int,
) -> Tensor:
    """One of the elementwise losses."""
    name, options = PAIR_LOSSES[loss]
    require_tensors(input=input, target=target)
    if name == "binary_cross_entropy":
        require_unit_interval(input=input, target=target)
    function = module_of(name).vectorized
    result: Tensor = function(
        input, target, reduction=REDUCTIONS[reduction], **options(weight, pos_weight, alpha, beta)
    )
    return result


def classes(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    smoothing: float,
    alpha: float,
    gamma: float,
    focal: bool,
    reduction: int,
) -> Tensor:
    """Cross entropy or softmax focal loss."""
    require_tensors(input=input, target=target)
    check_class_weight(input, **{"alpha" if focal else "weight": weight})
    if focal or not cross_entropies.has_probabilities(input, target):
        check_class_shapes(input, target)
        check_labels(input, target, ignore_index)
    if focal:
        factor = alpha if weight is None else weight
        return focal_losses.vectorized(input, target, factor, gamma, ignore_index, REDUCTIONS[reduction])
    return cross_entropies.vectorized(input, target, weight, ignore_index, REDUCTIONS[reduction], smoothing)


def triplet(*arguments: Any) -> Tensor:
    """Triplet margin loss, from its operator's arguments: those of the loss, with the reduction as a number."""
    *given, reduction = arguments
    module = module_of("triplet_margin_loss")
    require_tensors(**dict(zip(module.LOSS.tensors, given, strict=False)))
    result: Tensor = module.vectorized(*given, REDUCTIONS[reduction])
    return result


def step(formula: Callable[..., Tensor], first: int, count: int, arguments: Sequence[Any]) -> tuple[Tensor, ...]:
    """The loss of a formula and its gradients in `count` arguments from the `first` on; those not wanted are empty.

    The last arguments say which gradients are wanted, and what they are multiplied by (None: one).
    """
    given, wanted, upstream = arguments[: -count - 1], arguments[-count - 1 : -1], arguments[-1]
    places = [first + place for place in range(count) if wanted[place]]

    def loss_of(*own: Tensor) -> Tensor:
        replaced = dict(zip(places, own, strict=True))
        return formula(*(replaced.get(place, one) for place, one in enumerate(given)))

    if not places:
        return formula(*given), *(one.new_empty(0) for one in given[first : first + count])
    loss: Tensor
    loss, pull_back = torch.func.vjp(  # type: ignore[misc]  # its stub has the form with has_aux
        loss_of, *(given[place] for place in places)
    )
    found = iter(pull_back(torch.ones_like(loss) if upstream is None else upstream.to(loss.dtype)))
    gradients = (next(found) if yes else one.new_empty(0) for one, yes in zip(given[first:], wanted, strict=False))
    return loss, *gradients


def loss_operator(name: str, *arguments: Any) -> Tensor:
    """The operator of a loss, its arguments checked: `alpha` and `class_alpha` are one argument of the loss."""
    module = module_of(name)
    if name == "softmax_focal_loss":
        input, target, alpha, class_alpha, *others = (*arguments, None, None)[: max(len(arguments), 4)]
        arguments = (input, target, alpha if class_alpha is None else class_alpha, *others)
    module.check(*arguments)
    result: Tensor = module.vectorized(*arguments)
    return result


# How an operator is computed without its kernel. A step's tensors begin at the first or second argument.
FORMULAS: dict[str, Callable[..., Any]] = {
    "_elementwise": elementwise,
    "_elementwise_step": lambda *arguments: step(elementwise, 1, 2, arguments),
    "_classes": classes,
    "_classes_step": lambda *arguments: step(classes, 0, 2, arguments),
    "_triplet": triplet,
    "_triplet_step": lambda *arguments: step(triplet, 0, 3, arguments),
}


def formula(name: str, *arguments: Any) -> Any:
    """An operator in torch's differentiable operations, which any transform can follow."""
    return FORMULAS[name](*arguments) if name in FORMULAS else loss_operator(name, *arguments)


def differentiable(name: str, *arguments: Any) -> Any:
    """The formula where the kernels do not serve; else the operator, now that its library is loaded."""
    if not has_kernels(arguments):
        return formula(name, *arguments)
    if name in LOSSES:
        return operator(name)(*arguments)  # the library has its autograd rule
    if differentiates(arguments):
        return formula(name, *arguments)
    with torch._C._AutoDispatchBelowAutograd():
        return operator(name)(*arguments)


def below_autograd(name: str, *arguments: Any) -> Any:
    """The operator, now that its library is loaded; the formula where the kernels do not serve."""
    return operator(name)(*arguments) if has_kernels(arguments) else formula(name, *arguments)


def differentiates(arguments: Sequence[Any]) -> bool:
    """Whether a derivative is asked for: a gradient, a tangent, or a transform of `torch.func`."""
    tensors = [one for one in arguments if isinstance(one, Tensor)]
    return any((one.requires_grad and torch.is_grad_enabled()) or is_transformed(one) for one in tensors)


def operator(name: str) -> Callable[..., Any]:
    """The operator of that name."""
    found: Callable[..., Any] = getattr(torch.ops.lossimpl, name).default
    return found


FALLBACKS: dict[str, Callable[..., Any]] = {
    "Autograd": differentiable,
    "CompositeExplicitAutograd": below_autograd,
    "FuncTorchBatchedDecomposition": formula,
}


def register_decompositions() -> None:
    """Tell torch's decomposition table, which the exporter to ONNX uses, how the operators are computed."""
    for name in NAMES:
        if not name.endswith("_step"):  # exported programs compute losses, not gradients
            torch._decomp.register_decomposition(operator(name), unsafe=True)(partial(decomposed, name))


def decomposed(name: str, *arguments: Any) -> Any:
    """The formula; NotImplementedError where DTensors ask by tensors with a `_spec` how an operator may be sharded.

    They would compute shard by shard and misread how the results of our operators combine.
    """
    if any(hasattr(one, "_spec") for one in arguments):
        raise NotImplementedError(f"lossimpl::{name} has no rule for DTensors")
    return formula(name, *arguments)
