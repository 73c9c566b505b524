"""A workload: a dataset with the functions that its loader is called with, made by a factory that can be imported.

A user's factory takes no arguments and returns a Dataset, a `Workload`, or a `DataLoader` whose parts are taken over.
It must be importable (`MODULE:FACTORY` or `FILE.py:FACTORY`), because each fresh process builds the dataset again.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lossimpl.loading.features import has_thread_workers
from lossimpl.loading.settings import WORKER_DEFAULTS, Settings
from lossimpl.loading.validity import Facts


@dataclass
class Workload:
    """What a `DataLoader` is made of besides its settings.

    `set_epoch(epoch)`, where given, is called before each epoch, as a training loop would. `files` are the files that
    the dataset reads, so that their page cache can be dropped.
    """

    dataset: Any
    collate_fn: Callable[[list[Any]], Any] | None = None
    worker_init_fn: Callable[[int], None] | None = None
    sampler: Iterable[Any] | None = None
    batch_sampler: Iterable[Any] | None = None
    set_epoch: Callable[[int], None] | None = None
    files: Sequence[str] = field(default_factory=tuple)


class UnknownFactory(Exception):
    """There is no such module, file or name."""


def make(factory: str) -> Workload:
    """Import `MODULE:FACTORY` or `FILE.py:FACTORY`, call it, and wrap what it returns.

    Raises UnknownFactory where it does not exist; what the module raises while it is imported propagates.
    """
    return made(imported(factory))


def made(factory: Any) -> Workload:
    """The workload that a factory makes, or that a name already stands for.

    Raises TypeError naming the arguments that a factory needs, since nobody can pass them.
    """
    if not callable(factory):
        return as_workload(factory)
    try:
        needed = [one.name for one in inspect.signature(factory).parameters.values() if is_needed(one)]
    except (TypeError, ValueError):  # some functions of C have no signature
        needed = []
    if needed:
        raise TypeError(f"the factory needs arguments ({', '.join(needed)}): wrap it in a function that passes them")
    return as_workload(factory())


def is_needed(parameter: inspect.Parameter) -> bool:
    """Whether a call must pass this argument."""
    return parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )


def imported(factory: str) -> Any:
    """What the name stands for."""
    place, _, name = factory.rpartition(":")
    module = imported_file(Path(place)) if place.endswith(".py") else imported_module(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise UnknownFactory(f"{place} has no {name!r}")
        found = getattr(found, part)
    return found


def imported_module(name: str) -> Any:
    """The module of that name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise UnknownFactory(f"there is no module {error.name!r}") from error
        raise  # one that the user's module imports


def imported_file(path: Path) -> Any:
    """The file as a module that workers find under spawn and forkserver, too: by its name, in its folder."""
    sys.path.insert(0, str(path.parent))
    module = importlib.import_module(path.stem)
    if Path(getattr(module, "__file__", None) or "").resolve() != path:
        raise UnknownFactory(f"{path}: another module is called {path.stem!r} already; rename the file")
    return module


def as_workload(made: Any) -> Workload:
    """What a factory returned, as a `Workload`.

    Raises TypeError for anything that a `DataLoader` cannot read.
    """
    from torch.utils.data import DataLoader

    if isinstance(made, Workload):
        return made
    if isinstance(made, DataLoader):
        return _of_loader(made)
    if isinstance(made, type) or not (hasattr(made, "__getitem__") or is_iterable(made)):
        raise TypeError(f"dataset: expected a Dataset, a Workload or a DataLoader, got a {type(made).__name__}")
    return Workload(made, set_epoch=epoch_setter(made))


def epoch_setter(dataset: Any) -> Callable[[int], None] | None:
    """The dataset's own `set_epoch`, which a training loop would call, or None."""
    try:
        found = getattr(dataset, "set_epoch", None)
    except Exception:  # its own `__getattr__` may raise anything
        return None
    return found if callable(found) else None


def _of_loader(loader: Any) -> Workload:
    """The parts of a user's own `DataLoader`; samplers that it made by default are left to the settings."""
    from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler, default_collate, default_convert

    plain = loader.batch_size is not None or loader.batch_sampler is None
    own_sampler = (
        not isinstance(loader.sampler, RandomSampler | SequentialSampler)
        and type(loader.sampler).__name__ != "_InfiniteConstantSampler"
    )
    own_batches = not plain and not isinstance(loader.batch_sampler, BatchSampler)
    return Workload(
        dataset=loader.dataset,
        collate_fn=None if loader.collate_fn in (default_collate, default_convert) else loader.collate_fn,
        worker_init_fn=loader.worker_init_fn,
        sampler=loader.sampler if plain and own_sampler else None,
        batch_sampler=loader.batch_sampler if own_batches or not plain else None,
        set_epoch=epoch_setter(loader.dataset),
    )


def is_iterable(dataset: Any) -> bool:
    """Whether `DataLoader` iterates over the dataset instead of indexing it."""
    from torch.utils.data import IterableDataset

    return isinstance(dataset, IterableDataset)


def length_of(dataset: Any) -> int | None:
    """`len(dataset)`, or None where it has none; a length that is no whole number from 0 raises what Python raises."""
    try:
        return len(dataset)
    except NotImplementedError:
        return None
    except TypeError as error:
        if "interpreted as an integer" in str(error):
            raise TypeError(f"len(dataset): {error}") from None
        return None


def facts_of(workload: Workload) -> Facts:
    """What the rules of validity need to know."""
    import torch

    return Facts(
        iterable=is_iterable(workload.dataset),
        length=length_of(workload.dataset),
        has_sampler=workload.sampler is not None,
        has_batch_sampler=workload.batch_sampler is not None,
        gpu=torch.cuda.is_available(),
        thread_workers=has_thread_workers(),
    )


def loader_arguments(workload: Workload, settings: Settings) -> dict[str, Any]:
    """The keyword arguments of `DataLoader`; those at torch's own default are left out, as a user would."""
    import torch

    names = [name for name in WORKER_DEFAULTS if name != "worker_method" or settings.worker_method is not None]
    arguments = {name: getattr(settings, name) for name in ("num_workers", "pin_memory", *names)}
    for name in ("collate_fn", "worker_init_fn", "sampler", "batch_sampler"):
        if getattr(settings, name) and getattr(workload, name) is not None:
            arguments[name] = getattr(workload, name)
    if "batch_sampler" not in arguments or settings.batch_size != 1:
        arguments["batch_size"] = settings.batch_size
    if settings.shuffle:
        arguments["shuffle"] = True
    if settings.drop_last:
        arguments["drop_last"] = True
    if settings.generator is not None:
        arguments["generator"] = torch.Generator().manual_seed(settings.generator)
    return arguments
