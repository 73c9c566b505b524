"""Tabular rows: 569 rows of 30 measurements and a class in memory; the smallest sample there is."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from lossimpl.loading.datasets import package_file
from lossimpl.loading.workload import Workload


class Rows(Dataset[tuple[torch.Tensor, int]]):
    """(float32 tensor [30], class): scikit-learn's breast cancer table (Street, Wolberg and Mangasarian 1993)."""

    def __init__(self, table: np.ndarray) -> None:
        self.values = table[:, :-1].astype(np.float32)
        self.classes = table[:, -1].astype(np.int64)

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.values[index]), int(self.classes[index])


def build() -> Workload:
    """The table of the installed scikit-learn."""
    path = package_file("sklearn", "datasets", "data", "breast_cancer.csv")
    return Workload(Rows(np.loadtxt(path, delimiter=",", skiprows=1)), files=[str(path)])
