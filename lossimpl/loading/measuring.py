"""One configuration of one dataset, measured for programs such as asv's benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from lossimpl.loading.bench import Bench
from lossimpl.loading.harness.launcher import Zygote
from lossimpl.loading.row import Row
from lossimpl.loading.settings import from_request


@cache
def shared_zygote() -> Zygote:
    """One zygote for all calls of `measure` in this process; it ends with this process."""
    return Zygote()


def measure(settings: Mapping[str, Any], dataset: str, budget_seconds: float = 1.0) -> dict[str, Any]:
    """Measure one configuration of one dataset: the `Row` as a plain dictionary.

    `settings` are arguments of `DataLoader` by name (see `Settings`), `dataset` is the name of a built-in dataset or
    `MODULE:FACTORY`. `budget_seconds` is for driving the loader; the verdict takes about as long again. A bad request
    does not raise: the row has status `invalid`, with the reason.

    >>> measure({"prefetch_factor": 2}, "digits")["reason"]
    'prefetch_factor: needs num_workers of 1 or more, got 0'
    """
    try:
        parsed = from_request(settings)
    except ValueError as fault:
        return asdict(Row(dataset, dict(settings), status="invalid", reason=str(fault)))
    return asdict(Bench(dataset, shared_zygote()).measure(parsed, budget_seconds, budget_seconds))
