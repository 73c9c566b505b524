"""Settings: one way to call `torch.utils.data.DataLoader`, as a frozen value that can be written down and compared.

Arguments that are functions or objects (collate_fn, worker_init_fn, sampler, batch_sampler) are not part of it: they
belong to the workload, and a setting only says whether they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

CONTEXTS = ("fork", "forkserver", "spawn")


@dataclass(frozen=True)
class Settings:
    """Arguments of `DataLoader`, by their own names; None means that the argument is not passed.

    `generator` is the seed of an explicit `torch.Generator`, or None for torch's global one. `sampler`,
    `batch_sampler`, `collate_fn` and `worker_init_fn` say whether the workload's own object is passed.

    >>> Settings(num_workers=2).changes(Settings())
    {'num_workers': 2}
    """

    batch_size: int | None = 32
    num_workers: int = 0
    pin_memory: bool = False
    prefetch_factor: int | None = None
    persistent_workers: bool = False
    multiprocessing_context: str | None = None
    shuffle: bool = False
    sampler: bool = True
    batch_sampler: bool = True
    collate_fn: bool = True
    worker_init_fn: bool = True
    drop_last: bool = False
    timeout: float = 0.0
    in_order: bool = True
    generator: int | None = None

    def changes(self, base: Settings) -> dict[str, Any]:
        """The arguments in which this setting differs from `base`."""
        return {name: value for name, value in asdict(self).items() if getattr(base, name) != value}

    @property
    def text(self) -> str:
        """The call as people write it, without the arguments left at the default of `DataLoader`."""
        shown = self.changes(Settings(batch_size=1))
        return ", ".join(f"{name}={value!r}" for name, value in shown.items()) or "batch_size=1"

    @property
    def prefetched(self) -> int:
        """How many batches may wait between the workers and the consumer."""
        factor = 2 if self.prefetch_factor is None else self.prefetch_factor
        return self.num_workers * factor


NAMES = tuple(field.name for field in fields(Settings))
_WHOLE = {"batch_size", "num_workers", "prefetch_factor", "generator"}
_TRUTH = {
    "pin_memory",
    "persistent_workers",
    "shuffle",
    "sampler",
    "batch_sampler",
    "collate_fn",
    "worker_init_fn",
    "drop_last",
    "in_order",
}
_OPTIONAL = {"batch_size", "prefetch_factor", "generator", "multiprocessing_context"}


def type_fault(name: str, value: object) -> str | None:
    """Why `value` cannot be the argument `name` at all, or None."""
    if name not in NAMES:
        return f"{name}: not an argument that can be set here; choose from {', '.join(NAMES)}"
    if value is None:
        return None if name in _OPTIONAL else f"{name}: expected a value, got None"
    if name in _TRUTH and not isinstance(value, bool):
        return f"{name}: expected true or false, got {value!r}"
    if name in _WHOLE and (isinstance(value, bool) or not isinstance(value, int)):
        return f"{name}: expected a whole number, got {value!r}"
    if name == "timeout" and (isinstance(value, bool) or not isinstance(value, int | float)):
        return f"timeout: expected a number of seconds, got {value!r}"
    if name == "multiprocessing_context" and not isinstance(value, str):
        return f"multiprocessing_context: expected one of {', '.join(CONTEXTS)}, got {value!r}"
    return None


def request_fault(request: Mapping[str, Any]) -> str | None:
    """Why a user's request cannot become `Settings`, or None. Says every fault, not only the first."""
    faults = [fault for name, value in request.items() if (fault := type_fault(name, value))]
    return "; ".join(faults) or None


def from_request(request: Mapping[str, Any]) -> Settings:
    """`Settings` of a request such as `{"num_workers": 2}`.

    Raises ValueError naming each argument that is unknown or of the wrong type.
    """
    if fault := request_fault(request):
        raise ValueError(fault)
    return Settings(**request)
