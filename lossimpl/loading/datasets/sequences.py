"""Ragged sequences: each digit as the list of its inked cells, with a collate function that pads."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from lossimpl.loading.datasets import package_file
from lossimpl.loading.workload import Workload

Sample = tuple[torch.Tensor, int]


class Cells(Dataset[Sample]):
    """(float32 tensor [cells, 3] of row, column and grey value, digit); the number of cells differs."""

    def __init__(self, table: np.ndarray) -> None:
        self.images = table[:, :-1].reshape(-1, 8, 8).astype(np.float32)
        self.labels = table[:, -1].astype(np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        image = self.images[index]
        rows, columns = np.nonzero(image)
        cells = np.stack([rows, columns, image[rows, columns]], axis=1)
        return torch.from_numpy(cells.astype(np.float32)), int(self.labels[index])


def pad(samples: list[Sample]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(sequences [batch, longest, 3] padded with 0, lengths [batch], digits [batch])."""
    sequences, digits = zip(*samples, strict=True)
    lengths = torch.tensor([len(one) for one in sequences])
    return pad_sequence(list(sequences), batch_first=True), lengths, torch.tensor(digits)


def build() -> Workload:
    """The digits of the installed scikit-learn as sequences."""
    path = package_file("sklearn", "datasets", "data", "digits.csv.gz")
    return Workload(Cells(np.loadtxt(path, delimiter=",")), collate_fn=pad, files=[str(path)])
