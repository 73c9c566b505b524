"""Three small but real trainings, observed: is the gain that `observe` predicts the gain that is measured?

images    a convolutional network on photographs, decoded and augmented; loading is the bottleneck
text      a recurrent network on sequences of characters read from files line by line and tokenised
tabular   a multilayer perceptron on rows fetched from a database, one query per row

Each is trained as most people begin, with num_workers=0, then with the settings that were suggested, in turns.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from lossimpl.loading.datasets import photographs, sqlite
from lossimpl.loading.observation.observer import Observed, observe
from lossimpl.loading.search.store import Record
from lossimpl.loading.selftest.runs import Runs
from lossimpl.measure.wall import now

EPOCHS, ROUNDS = 3, 3
SECONDS = 240.0  # of one training with its repetitions
SAMPLES = 1_500
WORD = re.compile(r"[a-z]+|[^a-z\s]")
LENGTH, VOCABULARY = 256, 5_000


class Lines(Dataset[tuple[torch.Tensor, int]]):
    """(token ids [LENGTH], whether the line is code): windows over Python's own standard library as text."""

    def __init__(self, count: int = SAMPLES) -> None:
        import statistics

        with open(statistics.__file__) as file:
            self.text = file.read()
        self.count = count
        self.transform = tokens

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        start = (index * 37) % (len(self.text) - 4 * LENGTH)
        window = self.text[start : start + 16 * LENGTH]
        return self.transform(window), int("def " in window[:LENGTH])


def tokens(text: str) -> torch.Tensor:
    """The first `LENGTH` words of a text as numbers, by a hash that is the same in every process."""
    numbers = [sum(map(ord, word)) * 31 % VOCABULARY for word in WORD.findall(text.lower())]
    return torch.tensor((numbers + [0] * LENGTH)[:LENGTH])


class Text(nn.Module):
    """A recurrent network over embedded words."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.cells, self.out = (
            nn.Embedding(VOCABULARY, 32),
            nn.GRU(32, 32, batch_first=True),
            nn.Linear(32, 2),
        )

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        _, last = self.cells(self.words(numbers[:, ::8]))
        return self.out(last[0])  # type: ignore[no-any-return]  # torch's modules are untyped


def network(*sizes: int) -> nn.Module:
    """A multilayer perceptron."""
    layers = [(nn.Linear(one, two), nn.ReLU()) for one, two in itertools.pairwise(sizes)]
    return nn.Sequential(nn.Flatten(), *itertools.chain.from_iterable(layers))


def images() -> nn.Module:
    """A small convolutional network."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=4),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(12),
    )


@dataclass(frozen=True)
class Training:
    """A dataset and a model."""

    data: Callable[[], Any]
    model: Callable[[], nn.Module]
    batch_size: int = 32


TRAININGS = {
    "images": Training(lambda: photographs.build().dataset, images, 16),
    "text": Training(Lines, Text),
    "tabular": Training(lambda: sqlite.build().dataset, lambda: network(64, 64, 10), 64),
}


def train(training: Training, **settings: Any) -> tuple[float, Observed]:
    """Seconds per step of an observed training, and what was observed; the first step, which makes lazy layers, is not
    counted."""
    torch.manual_seed(0)
    loader = DataLoader(training.data(), batch_size=training.batch_size, shuffle=True, **settings)
    model = training.model()
    first, _ = next(iter(DataLoader(training.data(), batch_size=training.batch_size)))
    model(first)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    observed, steps, started = observe(loader, say=False), 0, now()
    for _ in range(EPOCHS):
        for inputs, labels in observed:
            optimiser.zero_grad()
            cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            steps += 1
    return (now() - started) / steps, observed


def one_training(name: str) -> Record:
    """The predicted and the measured gain of the suggested settings, and those of the fixed change to two workers."""
    training = TRAININGS[name]
    _, observed = train(training)
    found = observed.observation()
    suggested = dict(found.suggestions[0]) if found.suggestions else {}
    predicted = found.period / suggested.pop("predicted_seconds", found.period)
    spent: dict[bool, list[float]] = {False: [], True: []}
    for number in range(ROUNDS):
        for changed in (False, True) if number % 2 else (True, False):
            spent[changed].append(train(training, **(suggested if changed else {}))[0])
    measured = median(spent[False]) / median(spent[True]) if suggested else 1.0
    return {
        "training": name,
        "lines": observed.report().splitlines(),
        "suggested": suggested,
        "stall": found.stall_fraction,
        "predicted": predicted,
        "measured": measured,
        "error": predicted / measured - 1,
    }


def trainings(runs: Runs, count: int = 1) -> list[Record]:
    """All three, so many times."""
    return [
        runs.do({"training": name, "run": number}, partial(one_training, name), SECONDS)
        for number in range(count)
        for name in TRAININGS
    ]
