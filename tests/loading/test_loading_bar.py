"""What the search and the drive loop promise, measured: slow, and best run on a machine that does nothing else."""

from __future__ import annotations

from statistics import median
from time import perf_counter, process_time

import pytest
from torch.utils.data import DataLoader

from lossimpl.loading.bench import Bench
from lossimpl.loading.counting import counter
from lossimpl.loading.search import Search
from lossimpl.loading.settings import Settings
from lossimpl.loading.space import product
from lossimpl.loading.summary import summarise
from lossimpl.loading.timing import Drive, Extent, Trace
from lossimpl.loading.workload import make

AXES = {
    "num_workers": (0, 1, 2, 4),
    "prefetch_factor": (None, 4),
    "persistent_workers": (False, True),
    "in_order": (True, False),
}
WITHIN = 0.95  # of the best of the full product
SHARE = 0.25  # of its time
OVERHEAD = 0.02  # of an epoch


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["synthetic"])
def test_the_search_finds_the_best_of_the_product_in_a_quarter_of_its_time(zygote, monkeypatch, dataset):
    """Items that wait 5 ms, so that workers help whatever the processor does; strict settings are compared."""
    monkeypatch.setenv("LOSSIMPL_SYNTHETIC", "wait=0.005,work=0,length=2000")
    zygote.close()  # the next one inherits the environment
    base, bench = Settings(batch_size=8), Bench(dataset, zygote, step=0.0)
    facts, started = bench.facts(base), perf_counter()
    rows = {one: bench.measure(one, 2.0, verdict_seconds=2.0) for one in product(base, AXES, facts)}
    whole = perf_counter() - started
    search = Search(bench, base, AXES, budget=SHARE * whole)
    started = perf_counter()
    search.find()
    taken = perf_counter() - started
    best = summarise(search, 0.05, False)["best"]
    strict = {one: row["epoch_rate"] for one, row in rows.items() if one.in_order}
    chosen = strict[Settings(**best["scenario"])]
    print(f"{dataset}: chosen {chosen / max(strict.values()):.3f} of the best, in {taken / whole:.2f} of the time")
    assert chosen >= WITHIN * max(strict.values())
    assert taken <= SHARE * whole


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "batch"), [("digits", 32), ("photographs", 4)])
def test_the_drive_loop_adds_little_to_an_epoch(dataset, batch):
    """Against a loop that does nothing, in turns, without workers, where an epoch is shortest and overhead largest.

    Processor time is compared, which other programs disturb less than the wall clock.
    """
    workload = make(dataset)
    loader = DataLoader(workload.dataset, batch_size=batch)
    count = counter(workload, Settings(batch_size=batch))
    plain, driven = [], []
    for _ in range(3 if dataset == "photographs" else 200):
        started = process_time()
        for _ in loader:
            pass
        plain.append(process_time() - started)
        drive = Drive(loader, None, count, full=batch)
        started = process_time()
        drive.epoch(Trace(), Extent(1e9), None, None)
        driven.append(process_time() - started)
    overhead = min(driven) / min(plain) - 1
    print(f"{dataset}: {overhead:.2%} by the fastest epochs, {median(driven) / median(plain) - 1:.2%} by the medians")
    assert min(overhead, median(driven) / median(plain) - 1) <= OVERHEAD
