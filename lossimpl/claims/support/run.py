"""One run of a claim: seeded, on one thread, with torch's own state left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lossimpl import claims
from lossimpl.claims.support.model import Claim
from lossimpl.claims.support.verdict import Result, judged
from lossimpl.measure import wall


def run(name: str, seed: int = 0) -> Result:
    """Run the claim of that name. Raises ValueError for an unknown name.

    >>> run("log_cosh_bounds").verdict
    'holds'
    """
    return run_claim(name, claims.get(name), seed)


def run_claim(name: str, claim: Claim, seed: int) -> Result:
    """Run a claim's experiment with a seed, and judge what it measured."""
    begin = wall.now()
    with reproducible(seed):
        measured = claim.experiment(seed)
    return judged(name, claim, seed, measured, wall.now() - begin)


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """One thread, so that sums have one order on every machine, and seeded generators; both restored at the end."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
