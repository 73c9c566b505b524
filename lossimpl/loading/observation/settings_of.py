"""The settings of a loader that exists, as `Settings`; those that it decides itself are left at their defaults."""

from __future__ import annotations

from typing import Any

from lossimpl.loading.settings import Settings


def settings_of(loader: Any) -> Settings | None:
    """The arguments that the loader was made with, or None for what is no `DataLoader`.

    `shuffle` is known by the sampler; a `generator` and the functions of the workload are the user's own.
    """
    if not hasattr(loader, "num_workers") or not hasattr(loader, "dataset"):
        return None
    workers = int(loader.num_workers)
    prefetch = getattr(loader, "prefetch_factor", None)
    context = getattr(loader, "multiprocessing_context", None)
    return Settings(
        batch_size=getattr(loader, "batch_size", None),
        num_workers=workers,
        pin_memory=bool(getattr(loader, "pin_memory", False)),
        prefetch_factor=prefetch if workers and prefetch != 2 else None,
        persistent_workers=bool(getattr(loader, "persistent_workers", False)),
        multiprocessing_context=context.get_start_method() if context is not None else None,
        shuffle=type(getattr(loader, "sampler", None)).__name__ == "RandomSampler",
        drop_last=bool(getattr(loader, "drop_last", False)),
        timeout=float(getattr(loader, "timeout", 0.0) or 0.0),
        in_order=bool(getattr(loader, "in_order", True)),
    )
