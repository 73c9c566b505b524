"""Digits: 1,797 real handwritten digits of 8 x 8 grey values in memory; the loader's own cost is what is seen."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from lossimpl.loading.datasets import package_file
from lossimpl.loading.workload import Workload


class Digits(Dataset[tuple[torch.Tensor, int]]):
    """(float32 tensor [1, 8, 8] in 0..1, digit): scikit-learn's copy of the UCI test set (Alpaydin and Kaynak 1998)."""

    def __init__(self, table: np.ndarray) -> None:
        self.images = (table[:, :-1] / 16).astype(np.float32).reshape(-1, 1, 8, 8)
        self.labels = table[:, -1].astype(np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.images[index]), int(self.labels[index])


def build() -> Workload:
    """The digits of the installed scikit-learn."""
    path = package_file("sklearn", "datasets", "data", "digits.csv.gz")
    return Workload(Digits(np.loadtxt(path, delimiter=",")), files=[str(path)])
