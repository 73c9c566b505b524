"""The words of the project as frozen types: Loss, Implementation, Case, Unavailable.

Nothing here imports torch or anything of ours, so that `lossimpl --help` and tools that only read results stay light.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Device = Literal["cpu", "cuda"]
Dtype = Literal["float64", "float32", "bfloat16", "float16"]
Mode = Literal["forward", "step", "reuse", "backward", "graph"]
Reduction = Literal["none", "mean", "sum"]
DEVICES: tuple[str, ...] = get_args(Device)
DTYPES: tuple[str, ...] = get_args(Dtype)
MODES: tuple[str, ...] = get_args(Mode)
REDUCTIONS: tuple[str, ...] = get_args(Reduction)
TORCH_COMPILED = "torch-compiled"  # torch.compile of what people write themselves
COMPILING = ("compiled", TORCH_COMPILED)  # implementations whose first call takes seconds

Function = Callable[..., Any]


class Unavailable(RuntimeError):
    """A named implementation cannot serve this call here; the message says why."""


@dataclass(frozen=True)
class Case:
    """Loss x shape x dtype x device x options x mode, from which seeded inputs follow.

    `shape` is the shape of the first tensor argument: (rows, classes) for the losses over classes, (rows, width) for
    the triplet loss, any shape for elementwise losses. `options` are keyword arguments of the loss, as sorted pairs.
    """

    loss: str
    shape: tuple[int, ...]
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
        """One line that tells this case from every other."""
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
    """The range of an implementation without limits."""
    del case
    return None


@dataclass(frozen=True)
class Implementation:
    """One way to compute a loss.

    `load(device)` returns a function with the loss's own signature (without `implementation=`); it may import, build or
    compile, and is only called once the implementation is asked for. `available(device)` says, cheaply, why it cannot
    run on that device type, or None. `serves(case)` says why it should not be asked for one case, or None.
    """

    name: str
    load: Callable[[str], Function]
    available: Callable[[str], str | None] = always_available
    serves: Callable[[Case], str | None] = serves_all


@dataclass(frozen=True)
class Loss:
    """A mathematical function with a documented contract, and everything the project knows about it.

    `tensors` names the tensor arguments in order; `differentiable` those whose gradient a training step takes.
    `makers` maps the name of an input maker to `maker(shape, dtype, device, generator) -> tuple of tensors`.
    `oracle` has the loss's signature, takes float64 tensors and returns float64. `check` has it too, and raises
    torch's error type on bad input. `traffic(case)` is the fewest bytes that the case must move.
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
    implementations: dict[str, Implementation] = field(default_factory=dict)

    def available(self, device: str = "cpu") -> dict[str, str | None]:
        """Each implementation's name with None, or the reason why it is unavailable on this device type."""
        return {name: one.available(device) for name, one in self.implementations.items()}
