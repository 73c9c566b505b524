"""A DataLoader with one process against several."""

import warnings
from typing import Any

from torch.utils.data import DataLoader, Dataset

from lossimpl.claims.support import data
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source
from lossimpl.measure import wall

REPETITIONS, SAMPLES, WORKERS, WAIT = 4, 120, 4, 0.012


class Digits(Dataset[Any]):
    """Digits in memory; each sample waits for `seconds`, as for a disk."""

    def __init__(self, seconds: float) -> None:
        self.x, self.seconds = data.digits().x, seconds

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> Any:
        if self.seconds:
            wall.sleep(self.seconds)
        return self.x[index]


def experiment(seed: int) -> Measured:
    """Both kinds of samples, without torch's warning about more workers than cores."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compared()


def compared() -> Measured:
    """The time of an epoch with workers over that without, and whether the batches are the same."""
    waiting, cheap = (ratios(Digits(seconds)) for seconds in (WAIT, 0.0))
    same = [
        all(bool((a == b).all()) for a, b in zip(loader(Digits(0.0), 0), loader(Digits(0.0), WORKERS), strict=True))
    ]
    kinds = {f"samples that wait {1000 * WAIT:.0f} ms": waiting, "samples in memory": cheap}
    points = [Point("4 workers over none", name, one) for name, found in kinds.items() for one in found]
    curves = Curves("", "time of an epoch", points, log_y=True, timed=True)
    return Measured({"waiting": waiting, "cheap": cheap, "same": [float(one) for one in same]}, curves)


def ratios(dataset: Digits) -> list[float]:
    """The time of an epoch with workers over that without, per repetition."""
    return [seconds(dataset, WORKERS) / seconds(dataset, 0) for _ in range(REPETITIONS)]


def seconds(dataset: Digits, workers: int) -> float:
    """The time of an epoch, start of the workers included."""
    begin = wall.now()
    for _ in loader(dataset, workers):
        pass
    return wall.now() - begin


def loader(dataset: Digits, workers: int) -> DataLoader[Any]:
    """Batches of 16 in order."""
    return DataLoader(dataset, 16, num_workers=workers)


CLAIM = Claim(
    statement=(
        "Loading with several worker processes is faster than in the main process, and delivers the same batches."
    ),
    source=Source(
        "PyTorch tutorials, Performance tuning guide",
        2026,
        "https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html",
    ),
    criteria={
        "same": Criterion("whether 4 workers deliver the same batches in the same order", 1, 1),
        "waiting": Criterion("time with 4 workers over none, samples that wait 12 ms", at_most=1.0, timed=True),
        "cheap": Criterion(
            "time with 4 workers over none, samples in memory",
            at_most=1.0,
            only_when="a sample takes longer than its transport between processes",
            timed=True,
        ),
    },
    experiment=experiment,
)
