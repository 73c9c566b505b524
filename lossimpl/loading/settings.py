"""Settings: one way to call `torch.utils.data.DataLoader`, as a frozen value that can be stored and compared.

Arguments that are functions or objects (collate_fn, worker_init_fn, sampler, batch_sampler) belong to the workload; the
settings only say whether they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

CONTEXTS = ("fork", "forkserver", "spawn")
CHOICES = {"multiprocessing_context": CONTEXTS, "worker_method": ("process", "thread")}
FLAGS = ("sampler", "batch_sampler", "collate_fn", "worker_init_fn")  # whether the workload's own object is passed
WORKER_DEFAULTS: dict[str, Any] = {  # arguments that have an effect only with workers
    "prefetch_factor": None,
    "persistent_workers": False,
    "multiprocessing_context": None,
    "timeout": 0.0,
    "in_order": True,
    "worker_method": None,
}


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
    worker_method: str | None = None

    def changes(self, base: Settings) -> dict[str, Any]:
        """The arguments in which this setting differs from `base`."""
        return {name: value for name, value in asdict(self).items() if getattr(base, name) != value}

    @property
    def text(self) -> str:
        """The arguments as in a call, without those left at the default of `DataLoader`."""
        shown = self.changes(Settings(batch_size=1))
        return ", ".join(f"{name}={value!r}" for name, value in shown.items()) or "batch_size=1"

    def call_arguments(self) -> dict[str, str]:
        """The arguments of a call of `DataLoader` as source, without those at its defaults and those of the dataset.

        >>> Settings(batch_size=8, num_workers=2, generator=1).call_arguments()
        {'batch_size': '8', 'num_workers': '2', 'generator': 'torch.Generator().manual_seed(1)'}
        """
        shown = {name: repr(value) for name, value in self.changes(Settings(batch_size=1)).items() if name not in FLAGS}
        if self.generator is not None:
            shown["generator"] = f"torch.Generator().manual_seed({self.generator})"
        return shown

    @property
    def prefetched(self) -> int:
        """How many batches may wait between the workers and the consumer."""
        factor = 2 if self.prefetch_factor is None else self.prefetch_factor
        return self.num_workers * factor

    def without_workers(self) -> Settings:
        """The same settings with num_workers=0, which takes back the arguments that need workers.

        >>> Settings(num_workers=2, prefetch_factor=4, shuffle=True).without_workers().changes(Settings())
        {'shuffle': True}
        """
        return replace(self, num_workers=0, **WORKER_DEFAULTS)


TYPES = {field.name: str(field.type) for field in fields(Settings)}
EXPECTED: dict[str, tuple[str, tuple[type, ...]]] = {
    "bool": ("true or false", (bool,)),
    "int": ("a whole number", (int,)),
    "float": ("a number of seconds", (int, float)),
    "str": ("a name", (str,)),
}


def type_fault(name: str, value: object) -> str | None:
    """Why `value` cannot be the argument `name` at all, or None."""
    if name not in TYPES:
        return f"{name}: not an argument that can be set here; choose from {', '.join(TYPES)}"
    kind, optional = TYPES[name].removesuffix(" | None"), TYPES[name].endswith(" | None")
    if value is None:
        return None if optional else f"{name}: expected a value, got None"
    words, types = EXPECTED[kind]
    words = f"one of {', '.join(CHOICES[name])}" if name in CHOICES else words
    if isinstance(value, bool) != (kind == "bool") or not isinstance(value, types):
        return f"{name}: expected {words}, got {value!r}"
    return None


def from_request(request: Mapping[str, Any]) -> Settings:
    """`Settings` from arguments such as `{"num_workers": 2}`.

    Raises ValueError naming every argument that is unknown or of the wrong type.
    """
    faults = [fault for name, value in request.items() if (fault := type_fault(name, value))]
    if faults:
        raise ValueError("; ".join(faults))
    return Settings(**request)
