"""The torch operators `lossimpl::*`: their schemas, registered as soon as both torch and lossimpl are imported.

A program saved with torch.export or torch.jit names the operators that it calls, and loads only where they are known.
So the schemas stand here as text, without a kernel: importing the losses or loading a library would cost seconds. An
operator that is called before its kernels are loaded is passed to `lossimpl.kernels.cpp.fallback`, which loads them.

The arguments of a loss's operator are those of the loss's check. Schemas have no unions: a number or a tensor makes two
arguments, `alpha` and `class_alpha`. Operators that begin with `_` are what the losses' autograd rules call: a family's
loss (its number in csrc/kernels.h, reduction in csrc/call.h), and one step with the gradients that are wanted.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch

SCHEMAS = """
cross_entropy(Tensor input, Tensor target, Tensor? weight=None, int ignore_index=-100, str reduction='mean', float label_smoothing=0.0) -> Tensor
binary_cross_entropy(Tensor input, Tensor target, Tensor? weight=None, str reduction='mean') -> Tensor
binary_cross_entropy_with_logits(Tensor input, Tensor target, Tensor? weight=None, str reduction='mean', Tensor? pos_weight=None) -> Tensor
sigmoid_focal_loss(Tensor inputs, Tensor targets, float alpha=0.25, float gamma=2.0, str reduction='none') -> Tensor
softmax_focal_loss(Tensor input, Tensor target, float? alpha=None, Tensor? class_alpha=None, float gamma=2.0, int ignore_index=-100, str reduction='mean') -> Tensor
l1_loss(Tensor input, Tensor target, str reduction='mean', Tensor? weight=None) -> Tensor
mse_loss(Tensor input, Tensor target, str reduction='mean', Tensor? weight=None) -> Tensor
smooth_l1_loss(Tensor input, Tensor target, str reduction='mean', float beta=1.0) -> Tensor
huber_loss(Tensor input, Tensor target, str reduction='mean', float delta=1.0, Tensor? weight=None) -> Tensor
log_cosh_loss(Tensor input, Tensor target, str reduction='mean') -> Tensor
triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1.0, float p=2.0, float eps=1e-06, bool swap=False, str reduction='mean') -> Tensor
_elementwise(int loss, Tensor input, Tensor target, Tensor? weight, Tensor? pos_weight, float alpha, float beta, int reduction) -> Tensor
_elementwise_step(int loss, Tensor input, Tensor target, Tensor? weight, Tensor? pos_weight, float alpha, float beta, int reduction, bool want_input, bool want_target, Tensor? upstream) -> (Tensor, Tensor, Tensor)
_classes(Tensor input, Tensor target, Tensor? weight, int ignore_index, float smoothing, float alpha, float gamma, bool focal, int reduction) -> Tensor
_classes_step(Tensor input, Tensor target, Tensor? weight, int ignore_index, float smoothing, float alpha, float gamma, bool focal, int reduction, bool want_input, bool want_target, Tensor? upstream) -> (Tensor, Tensor, Tensor)
_triplet(Tensor anchor, Tensor positive, Tensor negative, float margin, float p, float eps, bool swap, int reduction) -> Tensor
_triplet_step(Tensor anchor, Tensor positive, Tensor negative, float margin, float p, float eps, bool swap, int reduction, bool want_anchor, bool want_positive, bool want_negative, Tensor? upstream) -> (Tensor, Tensor, Tensor, Tensor)
"""  # noqa: E501  # one schema per line
NAMES = tuple(line.partition("(")[0] for line in SCHEMAS.split("\n") if line)
LOSSES = tuple(name for name in NAMES if not name.startswith("_"))
# The levels of the dispatcher that C++ kernels do not serve: tensors of other devices, and transforms.
KEYS = ("Autograd", "CompositeExplicitAutograd", "FuncTorchBatchedDecomposition")
LIBRARY = torch.library.Library("lossimpl", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch's is untyped


def fallback(name: str, key: str) -> Callable[..., Any]:
    """The operator where it has no kernel at a level of the dispatcher; what it needs is imported when it is called."""

    def kernel(*arguments: Any, **options: Any) -> Any:
        formulas = importlib.import_module("lossimpl.kernels.cpp.formulas")
        return formulas.FALLBACKS[key](name, *arguments, **options)

    return kernel


def register() -> None:
    """Define every operator, with what serves it where it has no kernel."""
    for schema in filter(None, SCHEMAS.split("\n")):
        LIBRARY.define(schema)  # type: ignore[no-untyped-call]  # torch's is untyped
    for name in NAMES:
        for key in KEYS:
            LIBRARY.impl(name, fallback(name, key), key)  # type: ignore[no-untyped-call]  # torch's is untyped


register()
