"""One loading row: measure one configuration on one dataset, with its verdict, in fresh processes.

The schema of a line, here and in every file that `lossimpl loaders` writes:

`kind` "measurement"; `dataset`; `scenario` (the `Settings`, by name); `status`, `reason`, `advice` (why it is not
`ok`, and what to do); `samples_per_second` (a list: one figure a window of the steady state, or a whole epoch where
`steady_state` is false); `rate`, `rate_low`, `rate_high` (median and 95 percent interval); `epoch_rate` and its ends
(with the wait at an epoch's start; what is ranked); `build_seconds`, `iter_seconds`, `first_batch_seconds`,
`restart_seconds`, `shutdown_seconds`; `batch_seconds` {p50, p95, p99} (wait for a batch); `stall_fraction` at `step`
seconds of a `consumer`; `cpu_cores` (processor seconds per second); `pss_bytes`, `pss_growth_bytes`; `page_cache`
(warm or cold); `verdict`, `verdict_reason`, `notes`; `verdict_samples` (of each epoch) and `verdict_whole` (those were
all); `digest` (order-free digests of the epochs, chained); `attribution` (seconds per batch by stage); `findings` (what
the settings need that the machine may lack); `busy` (a warning about other processes); `seconds` (what this row cost).
Lines of `kind` "argument" have `argument`, `scenario` and the verdict; the last line has `kind` "summary" (see
`lossimpl.loading.summary`).
A number that could not be measured is null or absent, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from lossimpl.loading.bench import Bench
from lossimpl.loading.launcher import Zygote
from lossimpl.loading.settings import from_request, request_fault


@cache
def shared_zygote() -> Zygote:
    """One zygote for all calls of `measure` in this process; it goes when this process goes."""
    return Zygote()


def measure(settings: Mapping[str, Any], dataset: str, budget_seconds: float = 1.0) -> dict[str, Any]:
    """Measure one configuration of one dataset: the loading row as a plain dictionary.

    `settings` are arguments of `DataLoader` by name (see `Settings`), `dataset` is the name of a built-in dataset or
    `MODULE:FACTORY`. `budget_seconds` is for driving the loader; the verdict takes about as long on top. A bad
    request does not raise: the row has status `invalid`, with the reason.

    >>> measure({"prefetch_factor": 2}, "digits")["reason"]
    'prefetch_factor: needs num_workers of 1 or more, got 0'
    """
    if fault := request_fault(settings):
        return {
            "kind": "measurement",
            "dataset": dataset,
            "scenario": dict(settings),
            "status": "invalid",
            "reason": fault,
        }
    return Bench(dataset, shared_zygote()).measure(from_request(settings), budget_seconds, budget_seconds)
