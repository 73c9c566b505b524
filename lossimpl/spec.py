"""The vocabulary of the project as frozen types: Loss, Shapes, Implementation, Case, Unavailable.

Nothing here imports torch or other modules of lossimpl, so that `lossimpl --help` and tools that only read results stay
light.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Device = Literal["cpu", "cuda"]
Dtype = Literal["float64", "float32", "bfloat16", "float16"]
Mode = Literal["forward", "step", "reuse", "backward", "graph"]
Reduction = Literal["none", "mean", "sum"]
Name = Literal[  # of an implementation; `lossimpl.compute` takes those of plug-ins too
    "auto",
    "naive",
    "vectorized",
    "compiled",
    "torch",
    "native",
    "torch-compiled",
    "liger",
    "quack",
    "torchvision",
    "pytorch-metric-learning",
]
DEVICES: tuple[str, ...] = get_args(Device)
DTYPES: tuple[str, ...] = get_args(Dtype)
MODES: tuple[str, ...] = get_args(Mode)
REDUCTIONS: tuple[str, ...] = get_args(Reduction)
TORCH_COMPILED = "torch-compiled"  # torch.compile of what people write themselves
OURS = ("naive", "vectorized", "compiled", "native")
COMPILING = ("compiled", TORCH_COMPILED)  # implementations whose first call takes seconds

Function = Callable[..., Any]
Shape = tuple[int, ...]


class Unavailable(RuntimeError):
    """A named implementation cannot serve this call here; the message says why."""


@dataclass(frozen=True)
class Case:
    """Loss x shape x dtype x device x options x mode, from which seeded inputs follow.

    `shape` is the shape of the first tensor argument: (rows, classes) for the losses over classes, (rows, width) for
    the triplet loss, any shape for elementwise losses. `options` are keyword arguments of the loss, as sorted pairs.
    """

    loss: str
    shape: Shape
    dtype: str = "float32"
    device: str = "cpu"
    mode: str = "step"
    options: tuple[tuple[str, Any], ...] = ()
    maker: str = "normal"
    seed: int = 0

    @property
    def shape_text(self) -> str:
        """The shape as people write it: `512x32000`."""
        return "x".join(map(str, self.shape))

    @property
    def key(self) -> str:
        """One line that identifies the case."""
        options = ",".join(f"{name}={value}" for name, value in self.options)
        parts = (
            self.loss,
            self.shape_text,
            self.dtype,
            self.device,
            self.mode,
            options,
            self.maker,
            f"seed{self.seed}",
        )
        return "-".join(part for part in parts if part)


def always_available(device: str) -> str | None:
    """The availability of an implementation that runs wherever torch does."""
    del device
    return None


def serves_all(case: Case) -> str | None:
    """The range of an implementation that serves every case."""
    del case
    return None


def element_count(shape: Shape) -> int:
    """Each element is a term of its own.

    >>> element_count((3, 4))
    12
    """
    return math.prod(shape)


def row_count(shape: Shape) -> int:
    """The terms are vectors along the last dimension.

    >>> row_count((3, 4)), row_count((4,))
    (3, 1)
    """
    return math.prod(shape[:-1])


def label_count(shape: Shape) -> int:
    """The terms are labels: classes are the second dimension, or the only one.

    >>> label_count((3, 10)), label_count((3, 10, 5)), label_count((10,))
    (3, 15, 1)
    """
    return shape[0] * math.prod(shape[2:]) if len(shape) > 1 else 1


def class_count(shape: Shape) -> Shape:
    """One weight per class."""
    return shape[1:2] or shape


@dataclass(frozen=True)
class Shapes:
    """How a loss reads the shape of its first tensor.

    `terms(shape)` is the number of terms that a mean divides by, and `weight(shape)` the shape of a weight.
    `least_dimensions` is what a batch needs. `default` is a shape that exceeds the caches of a CPU.
    """

    terms: Callable[[Shape], int]
    weight: Callable[[Shape], Shape]
    least_dimensions: int
    default: Shape

    def of_terms(self, count: int) -> Shape:
        """A small shape with `count` terms.

        >>> ELEMENTWISE.of_terms(5), OVER_CLASSES.of_terms(5)
        ((5,), (5, 2))
        """
        return (count, *(2,) * (self.least_dimensions - 1))


ELEMENTWISE = Shapes(element_count, lambda shape: shape, 1, (16384, 1024))
OVER_CLASSES = Shapes(label_count, class_count, 2, (512, 32000))
OVER_VECTORS = Shapes(row_count, lambda shape: shape, 2, (65536, 128))


def unit_one(arguments: Mapping[str, Any]) -> float:
    """The scale of a value that is no difference of larger numbers."""
    del arguments
    return 1.0


@dataclass(frozen=True)
class Implementation:
    """One way to compute a loss.

    `load(device)` returns a function with the loss's own signature (without `implementation=`); it may import, build or
    compile, and is only called once the implementation is asked for. `available(device)` says, cheaply, why it cannot
    run on that device type, or None. `serves(case)` says why it should not be asked for one case, or None. `devices`
    are the device types that it is made for, wherever it can run.
    """

    name: str
    load: Callable[[str], Function]
    available: Callable[[str], str | None] = always_available
    serves: Callable[[Case], str | None] = serves_all
    devices: tuple[str, ...] = DEVICES


@dataclass(frozen=True)
class Loss:
    """A mathematical function with a documented contract, and everything the project knows about it.

    `tensors` names the tensor arguments in order; `differentiable` those whose gradient a training step takes.
    `makers` maps the name of an input maker to `maker(shape, dtype, device, generator) -> tuple of tensors`.
    `oracle` has the loss's signature, takes float64 tensors and returns float64. `check` has it too, and raises
    torch's error type on bad input. `traffic(case)` is the fewest bytes that the case must move. `shapes` says how
    terms, weights and defaults follow from the shape of the first tensor: `ELEMENTWISE`, `OVER_CLASSES`, `OVER_VECTORS`
    or one of your own. `value_unit(arguments)` is the size of the numbers whose difference the value is, which bounds
    the digits that any implementation can keep.
    """

    name: str
    formula: str
    reference: str
    tensors: tuple[str, ...]
    differentiable: tuple[str, ...]
    makers: Mapping[str, Function]
    oracle: Function
    check: Function
    traffic: Callable[[Case], int]
    shapes: Shapes = ELEMENTWISE
    value_unit: Callable[[Mapping[str, Any]], float] = unit_one
    implementations: dict[str, Implementation] = field(default_factory=dict)

    def available(self, device: str = "cpu") -> dict[str, str | None]:
        """Each implementation that is made for this device type, with None or the reason why it is unavailable."""
        return {name: one.available(device) for name, one in self.implementations.items() if device in one.devices}
