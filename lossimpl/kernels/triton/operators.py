"""Kernels as torch operators `lossimpl_triton::<loss>`: registration, fake kernels, and one autograd rule for all.

An operator takes its tensors first, then its numbers, then `reduction`, the loss's `dtype`, and one `need_*` flag for
each differentiable tensor. It returns the loss and one gradient for each differentiable tensor, empty if it is not
needed.

**Where the gradient is computed.** In a training step the forward pass writes it while the inputs are on chip, for an
upstream gradient of one. With reduction `none` and in float16 the backward pass computes it: with `none` the upstream
gradient is not a scalar, and in float16 a gradient divided by the number of elements may underflow before it is
multiplied by a loss scale.

**What backward does with a saved gradient.** If this backward pass frees the graph, the saved tensor cannot be used
again, so it is scaled in place (by a kernel that returns at once if the upstream gradient is one) and returned. If the
graph is retained, a product is returned and the saved gradient stays unchanged, since autograd may accumulate into what
it receives. The price of a backward pass without a pass over memory: a bf16 gradient is rounded twice unless the
upstream gradient is a power of two.

In a graph traced by torch.compile the product is used too, since the compiler fuses it with the operations that follow.

**Double backward** (`create_graph`) uses torch operations: the loss's `vectorized` implementation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from lossimpl.kernels.contract import module_of

from .launch import INTERPRETED
from .sums import scale_in_place

NAMESPACE = "lossimpl_triton"
LIBRARY = torch.library.Library(NAMESPACE, "FRAGMENT")  # type: ignore[no-untyped-call]  # torch's is untyped

Grads = Sequence[Tensor | None]


@dataclass(frozen=True)
class Operator:
    """What a loss supplies. The first `differentiable` of its `tensors` tensor arguments may need a gradient.

    `forward(tensors, numbers, reduction, dtype, losses, grads)` fills `losses` (per sample; None unless the reduction
    is `none`) and those `grads` that are not None, and returns the loss. `backward(upstream, tensors, numbers,
    reduction, grads)` fills the gradients. `losses(input, dtype)` and `gradient(tensor)` allocate outputs, fake ones
    too. `public(tensors, numbers)` is the same call as keyword arguments of the public loss `loss`.
    """

    name: str
    loss: str
    arguments: str
    tensors: int
    differentiable: int
    forward: Callable[[Any, Any, str, torch.dtype, Tensor | None, Grads], Tensor]
    backward: Callable[[Tensor, Any, Any, str, Grads], None]
    losses: Callable[[Tensor, torch.dtype], Tensor]
    gradient: Callable[[Tensor], Tensor]
    public: Callable[[Any, Any], dict[str, Any]]

    def split(self, arguments: Sequence[Any]) -> tuple[Any, Any, str, torch.dtype, Sequence[bool]]:
        """The operator's arguments, split into tensors, numbers, reduction, dtype, needs."""
        k, d = self.tensors, self.differentiable
        return arguments[:k], arguments[k : -d - 2], arguments[-d - 2], arguments[-d - 1], arguments[-d:]

    def outputs(self, tensors: Sequence[Tensor], needs: Sequence[bool]) -> Grads:
        """Memory for the gradients that are needed."""
        return [self.gradient(tensor) if need else None for tensor, need in zip(tensors, needs, strict=False)]


def register(one: Operator) -> Any:
    """Register an operator and its backward operator; return the operator."""
    needs = ", ".join(f"bool need_{k}" for k in range(one.differentiable))
    arguments = f"{one.arguments}, str reduction, ScalarType dtype, {needs}"
    results = ", ".join(["Tensor"] * one.differentiable)

    def forward(*given: Any) -> tuple[Tensor, ...]:
        tensors, numbers, reduction, dtype, needed = one.split(given)
        grads = one.outputs(tensors, needed)
        losses = one.losses(tensors[0], dtype) if reduction == "none" else None
        return one.forward(tensors, numbers, reduction, dtype, losses, grads), *_or_empty(tensors[0], grads)

    def backward(upstream: Tensor, *given: Any) -> Tensor | tuple[Tensor, ...]:
        tensors, numbers, reduction, _, needed = one.split(given)
        grads = one.outputs(tensors, needed)
        one.backward(upstream, tensors, numbers, reduction, grads)
        return _one_or_all(_or_empty(tensors[0], grads))

    def fake_forward(*given: Any) -> tuple[Tensor, ...]:
        tensors, _, reduction, dtype, needed = one.split(given)
        loss = one.losses(tensors[0], dtype) if reduction == "none" else tensors[0].new_empty((), dtype=dtype)
        return loss, *_or_empty(tensors[0], one.outputs(tensors, needed))

    def fake_backward(upstream: Tensor, *given: Any) -> Tensor | tuple[Tensor, ...]:
        tensors, _, _, _, needed = one.split(given)
        return _one_or_all(_or_empty(tensors[0], one.outputs(tensors, needed)))

    _define(one.name, f"({arguments}) -> (Tensor, {results})", forward, fake_forward)
    _define(f"{one.name}_backward", f"(Tensor upstream, {arguments}) -> ({results})", backward, fake_backward)
    operators = getattr(torch.ops, NAMESPACE)
    operator = getattr(operators, one.name).default
    _differentiate(one, operator, getattr(operators, f"{one.name}_backward").default)
    return operator


def _define(name: str, signature: str, kernel: Callable[..., Any], fake: Callable[..., Any]) -> None:
    """Define one operator: for CUDA, and in the interpreter for CPU as well."""
    LIBRARY.define(name + signature, tags=(torch.Tag.pt2_compliant_tag,))  # type: ignore[no-untyped-call]  # torch's is untyped
    for key in ("CUDA", "CPU") if INTERPRETED else ("CUDA",):
        LIBRARY.impl(name, kernel, key)  # type: ignore[no-untyped-call]  # torch's is untyped
    torch.library.register_fake(f"{NAMESPACE}::{name}", fake, lib=LIBRARY)


def _differentiate(one: Operator, operator: Any, backward_operator: Any) -> None:
    """Attach the autograd rule that the module's docstring describes.

    Not by `torch.library.register_autograd`, which iterates over the schema's arguments in every call: that took longer
    than everything else on the host.
    """

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *given: Any) -> tuple[Tensor, ...]:
            with torch._C._AutoDispatchBelowAutograd():
                output: tuple[Tensor, ...] = operator(*given)
            ctx.set_materialize_grads(False)
            ctx.mark_non_differentiable(*output[1:])
            ctx.save_for_backward(*given[: one.tensors], *output[1:])
            ctx.options = given[one.tensors :]
            return output

        @staticmethod
        def backward(ctx: Any, upstream: Tensor | None, *unused: Tensor | None) -> tuple[Tensor | None, ...]:
            wanted = ctx.needs_input_grad[: one.differentiable]
            rest = (None,) * (len(ctx.needs_input_grad) - one.differentiable)
            if upstream is None:
                return (*[None] * one.differentiable, *rest)
            tensors, saved = ctx.saved_tensors[: one.tensors], ctx.saved_tensors[one.tensors :]
            if torch.is_grad_enabled():
                grads = _differentiable_gradients(one, upstream, tensors, ctx.options, wanted)
            elif all(need for need, want in zip(ctx.options[-one.differentiable :], wanted, strict=True) if want):
                grads = [_scaled(grad, upstream) if want else None for grad, want in zip(saved, wanted, strict=True)]
            else:
                found = backward_operator(upstream, *tensors, *ctx.options[: -one.differentiable], *wanted)
                found = found if isinstance(found, tuple) else (found,)
                grads = [grad if want else None for grad, want in zip(found, wanted, strict=True)]
            return (*grads, *rest)

    def differentiable(*given: Any) -> tuple[Tensor, ...]:
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*given):
            output: tuple[Tensor, ...] = Rule.apply(*given)  # type: ignore[no-untyped-call]  # torch's is untyped
            return output
        with torch._C._AutoDispatchBelowAutograd():
            output = operator(*given)
        return output

    LIBRARY.impl(one.name, differentiable, "Autograd")  # type: ignore[no-untyped-call]  # torch's is untyped


def _scaled(grad: Tensor, upstream: Tensor) -> Tensor:
    """A saved gradient times the upstream gradient: in place if this backward pass frees the graph.

    Never in place while the backward pass is traced, or under vmap over a batch of upstream gradients.
    """
    functorch = torch._C._functorch
    batched = functorch.is_functorch_wrapped_tensor(upstream) or functorch.is_legacy_batchedtensor(upstream)
    if batched or torch._C._autograd._get_current_graph_task_keep_graph() or is_in_torch_dispatch_mode():
        return grad * upstream
    scale_in_place(grad, upstream)
    return grad


def _differentiable_gradients(
    one: Operator, upstream: Tensor, tensors: Sequence[Any], options: Sequence[Any], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients in torch operations, which can be differentiated again."""
    numbers, reduction = options[: -one.differentiable - 2], options[-one.differentiable - 2]
    loss = module_of(one.loss).vectorized(**one.public(tensors, numbers), reduction=reduction)
    inputs = [tensor for tensor, want in zip(tensors, wanted, strict=False) if want]
    found = iter(torch.autograd.grad(loss, inputs, upstream.to(loss.dtype), create_graph=True))
    return [next(found) if want else None for want in wanted]


def _or_empty(like: Tensor, grads: Grads) -> list[Tensor]:
    """The gradients, with a separate empty tensor for each absent one: operators cannot return None."""
    return [like.new_empty(0) if grad is None else grad for grad in grads]


def _one_or_all(grads: list[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """A single result without its tuple, as the dispatcher requires."""
    return grads[0] if len(grads) == 1 else tuple(grads)
