"""The data of the experiments: tables inside the installed scikit-learn, read without importing it."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lossimpl.loading.datasets import package_file


class Table(NamedTuple):
    """Features of shape (samples, features) and targets of shape (samples,)."""

    x: Tensor
    y: Tensor


@cache
def diabetes() -> Table:
    """442 patients: 10 measurements, and the progression of their disease (Efron et al. 2004); all standardised."""
    x, y = (_read(f"diabetes_{part}.csv.gz") for part in ("data_raw", "target"))
    return Table(standardised(x), standardised(y.reshape(-1)))


@cache
def cancer() -> Table:
    """569 tumours: 30 measurements, standardised, and 1.0 for malignant (Street, Wolberg and Mangasarian 1993)."""
    table = _read("breast_cancer.csv", delimiter=",", skiprows=1)
    return Table(standardised(table[:, :-1]), 1 - torch.from_numpy(table[:, -1].copy()))


@cache
def digits() -> Table:
    """1,797 handwritten digits as 64 grey values from 0 to 1, and their class (Alpaydin and Kaynak 1998)."""
    table = _read("digits.csv.gz", delimiter=",")
    return Table(torch.from_numpy(table[:, :-1] / 16).float(), torch.from_numpy(table[:, -1].astype(np.int64)))


def _read(name: str, **options: object) -> np.ndarray:
    return np.loadtxt(package_file("sklearn", "datasets", "data", name), **options)  # type: ignore[call-overload,no-any-return]  # options vary


def standardised(values: np.ndarray) -> Tensor:
    """Columns with mean 0 and variance 1, in float64."""
    return torch.from_numpy((values - values.mean(0)) / values.std(0))


def shuffles(size: int, repetitions: int, seed: int) -> Tensor:
    """Independent permutations of `size` samples, of shape (repetitions, size)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(size, generator=generator) for _ in range(repetitions)])
