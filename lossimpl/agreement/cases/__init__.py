"""The conformance table: one file of literal cases per loss; a loss from outside gets the checks of its makers."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor

from lossimpl.agreement.check import ALL_DTYPES, Builder, Check
from lossimpl.spec import Loss

SHAPE = (6, 10)  # several rows and an odd vector, small enough for the sample-by-sample form


def checks(loss: Loss) -> tuple[Check, ...]:
    """Every check of this loss: its makers' inputs first, then its literal table where it has one."""
    name = f"{__name__}.{loss.name}"
    table: tuple[Check, ...] = import_module(name).CHECKS if find_spec(name) else ()
    return (*_from_makers(loss), *table)


def _from_makers(loss: Loss) -> list[Check]:
    return [
        Check(
            f"{maker} inputs, reduction {one}",
            "float64 oracle",
            _made(loss, maker),
            {"reduction": one},
            dtypes=ALL_DTYPES,
        )
        for maker in loss.makers
        for one in ("mean", "sum", "none")
    ]


def _made(loss: Loss, maker: str) -> Builder:
    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        tensors = loss.makers[maker](SHAPE, dtype, device, torch.Generator().manual_seed(1))
        return dict(zip(loss.tensors, tensors, strict=True))

    return build
