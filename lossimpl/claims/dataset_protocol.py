"""What a dataset must give to a DataLoader."""

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, SequentialSampler

from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source


class Both:
    """`__getitem__` and `__len__`, and no base class."""

    def __getitem__(self, index: int) -> int:
        return list(range(10))[index]

    def __len__(self) -> int:
        return 10


class ItemsOnly(Dataset[int]):
    """`__getitem__` alone."""

    def __getitem__(self, index: int) -> int:
        return index


class LengthOnly(Dataset[int]):
    """`__len__` alone."""

    def __len__(self) -> int:
        return 10


class Batches(LengthOnly):
    """`__getitems__`, which takes a whole batch of indices, and `__len__`."""

    def __getitems__(self, indices: list[int]) -> list[int]:
        return indices


class Stream(IterableDataset[int]):
    """`__iter__` alone."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(10))


LOADER: Any = DataLoader  # which takes more than its annotations say
SAMPLER = SequentialSampler(range(10))
MAP_STYLE: dict[str, Callable[[], object]] = {
    "__getitem__ and __len__": lambda: LOADER(Both(), 4),
    "__getitem__ and __len__, shuffled": lambda: LOADER(Both(), 4, shuffle=True),
    "a list": lambda: LOADER(list(range(10)), 4),
}
LACKING: dict[str, Callable[[], object]] = {
    "__getitem__ alone": lambda: DataLoader(ItemsOnly(), 4),
    "__len__ alone": lambda: DataLoader(LengthOnly(), 4),
}
ELSE: dict[str, Callable[[], object]] = {
    "__getitem__ alone, with a sampler": lambda: DataLoader(ItemsOnly(), 4, sampler=SAMPLER),
    "__getitem__ alone, with a batch sampler": lambda: DataLoader(
        ItemsOnly(), batch_sampler=BatchSampler(SAMPLER, 4, False)
    ),
    "__getitems__ and __len__": lambda: DataLoader(Batches(), 4),
    "__iter__ alone, an IterableDataset": lambda: DataLoader(Stream(), 4),
    "a dict with integer keys": lambda: LOADER({i: i for i in range(10)}, 4),
}


def experiment(seed: int) -> Measured:
    """Whether each kind of dataset delivers its ten samples."""
    groups = (MAP_STYLE, LACKING, ELSE)
    found = [{name: delivers(make) for name, make in group.items()} for group in groups]
    samples = {key: [sum(one.values())] for key, one in zip(("both", "lacking", "else"), found, strict=True)}
    points = [Point("delivers all samples", name, float(works)) for one in found for name, works in one.items()]
    return Measured(samples, Curves("", "1: delivers all samples, 0: raises", points))


def delivers(make: Callable[[], object]) -> bool:
    """Whether a loader gives each of the ten samples once; False if it raises."""
    try:
        return sorted(int(one) for batch in make() for one in batch) == list(range(10))  # type: ignore[attr-defined]
    except (TypeError, NotImplementedError):
        return False


CLAIM = Claim(
    statement="A dataset must implement `__getitem__` and `__len__`.",
    source=Source(
        "PyTorch tutorials, Datasets and DataLoaders",
        2026,
        "https://docs.pytorch.org/tutorials/beginner/basics/data_tutorial.html",
    ),
    criteria={
        "both": Criterion(
            "of 3 datasets that have both, those that deliver all samples", len(MAP_STYLE), len(MAP_STYLE)
        ),
        "lacking": Criterion("of 2 datasets that lack one of them, those that deliver all samples", 0, 0),
        "else": Criterion(
            f"of {len(ELSE)} other datasets or loaders that lack one of them, those that deliver all samples",
            0,
            0,
            only_when="the loader chooses the indices itself; with a sampler `__len__` is not needed, and "
            "`__getitems__` or `__iter__` take the place of `__getitem__`",
        ),
    },
    experiment=experiment,
)
