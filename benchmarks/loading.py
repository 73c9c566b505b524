"""Loader settings on real datasets: photographs that need decoding, and small arrays that do not.

Seconds per sample, not samples per second, because asv takes larger for worse; the side-car has both, with everything
else that a row of `lossimpl loaders` holds.
"""

import os
from itertools import islice

from asv_runner.benchmarks.mark import SkipNotImplemented

from . import common

SAMPLES = 128  # that the gate loads in a call


class Loading:
    """Seconds per sample of a `DataLoader`, for each setting of a small factorial."""

    params = (
        ("photographs", "digits"),
        (0, 1, 2, 4),
        (False, True),
        (16, 64),
    )
    param_names = ("dataset", "num_workers", "pin_memory", "batch_size")
    unit = "seconds"
    version = "1"
    timeout = 600

    def track_seconds_per_sample(self, *params):
        """Samples of one row, each from a window of the steady state."""
        name = "loading.Loading.track_seconds_per_sample"
        record = common.keep(measure(name, *params))
        if record["status"] in ("invalid", "skipped"):
            raise SkipNotImplemented(record["reason"])
        if record["status"] != "ok":
            raise RuntimeError(f"{record['status']}: {record['reason']}")
        return {"samples": [1 / rate for rate in record["samples_per_second"] if rate > 0], "number": 1}


def measure(name, dataset, num_workers, pin_memory, batch_size):
    """The record of one row, measured now in fresh processes of its own."""
    from lossimpl.loading import measure

    settings = {"num_workers": num_workers, "pin_memory": pin_memory, "batch_size": batch_size, "shuffle": True}
    params = (dataset, num_workers, pin_memory, batch_size)
    started = common.started(name, params)
    return started | measure(settings, dataset, float(os.environ.get("LOSSIMPL_SECONDS", "1")))


def batches(dataset, num_workers, pin_memory, batch_size):
    """The first batches of an epoch, with the start of the workers if there are any: the call that the gate times."""
    from torch.utils.data import DataLoader

    from lossimpl.loading import datasets
    from lossimpl.loading.workload import make

    made = make(datasets.resolve(dataset))
    loader = DataLoader(
        made.dataset, batch_size, num_workers=num_workers, pin_memory=pin_memory, collate_fn=made.collate_fn
    )
    return lambda: [None for _ in islice(loader, max(1, SAMPLES // batch_size))]
