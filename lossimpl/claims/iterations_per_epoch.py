"""How many iterations an epoch has."""

import math
import warnings
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info

from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source

SIZES = (1, 7, 64, 100, 101)
BATCHES = (1, 2, 7, 10, 64, 101, 128)


class Stream(IterableDataset[int]):
    """101 samples, dealt out to the workers."""

    def __iter__(self) -> Iterator[int]:
        info = get_worker_info()
        return iter(range(info.id, len(self), info.num_workers) if info else range(len(self)))

    def __len__(self) -> int:
        return 101


def experiment(seed: int) -> Measured:
    """Counted iterations against ceil and floor of samples over batch size; then a stream with two workers."""
    cells = [(size, batch) for size in SIZES for batch in BATCHES]
    kept = [iterations(TensorDataset(torch.zeros(size)), batch) - math.ceil(size / batch) for size, batch in cells]
    dropped = [
        iterations(TensorDataset(torch.zeros(size)), batch, drop_last=True) - size // batch for size, batch in cells
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about more workers than cores, and more batches than `len` promised
        streamed = [iterations(Stream(), batch, workers=2) - math.ceil(101 / batch) for batch in (10, 25, 40, 60)]
    samples = {
        "ceil": [max(map(abs, kept))],
        "floor": [max(map(abs, dropped))],
        "stream": [max(map(abs, streamed))],
    }
    points = [Point("all batches", batch, math.ceil(101 / batch)) for batch in BATCHES]
    points += [Point("drop_last", batch, 101 // batch) for batch in BATCHES]
    return Measured(samples, Curves("batch size", "iterations per epoch of 101 samples", points, log_x=True))


def iterations(dataset: Dataset[object], batch: int, drop_last: bool = False, workers: int = 0) -> int:
    """The batches of one epoch, counted."""
    return sum(1 for _ in DataLoader(dataset, batch, drop_last=drop_last, num_workers=workers))


CLAIM = Claim(
    statement=(
        "An epoch passes over all samples once; it has ceil(samples / batch size) iterations, or floor(samples / batch "
        "size) if the incomplete last batch is dropped."
    ),
    source=Source("PyTorch documentation, torch.utils.data", 2026, "https://docs.pytorch.org/docs/stable/data.html"),
    criteria={
        "ceil": Criterion("largest difference from ceil over 35 sizes", 0, 0),
        "floor": Criterion("largest difference from floor over 35 sizes with drop_last", 0, 0),
        "stream": Criterion(
            "largest difference from ceil of an IterableDataset that two workers share",
            0,
            0,
            only_when="the dataset is map-style: of a stream each worker makes an incomplete last batch of its own",
        ),
    },
    experiment=experiment,
)
