"""The conformance table: one file of literal cases per loss; a registered loss gets the checks of its makers."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor

from lossimpl.agreement.check import ALL_DTYPES, Builder, Check
from lossimpl.agreement.uses import Backward, Times
from lossimpl.spec import Loss

SHAPE = (6, 10)  # several rows and an odd vector, small enough for the sample-by-sample form
# 1 / 255 lies halfway between two bfloat16 numbers, 1 / 2047 between two float16 numbers: a gradient that is divided in
# half precision is rounded twice there.
COUNTS = {"bfloat16": 255, "float16": 2047}


def checks(loss: Loss) -> tuple[Check, ...]:
    """Every check of this loss: the inputs of its makers first, then its literal table if it has one."""
    name = f"{__name__}.{loss.name}"
    table: tuple[Check, ...] = import_module(name).CHECKS if find_spec(name) else ()
    return (*_from_makers(loss), *table)


def _from_makers(loss: Loss) -> list[Check]:
    return [
        Check(
            f"{maker} inputs, reduction {one}",
            "float64 oracle",
            _made(loss, maker, SHAPE),
            {"reduction": one},
            dtypes=ALL_DTYPES,
        )
        for maker in loss.makers
        for one in ("mean", "sum", "none")
    ] + [
        Check(
            f"{count + 1} times the mean of {count}: rounded once",
            "definition: computed in float32, rounded once; google-deepmind/optax#1020",
            _made(loss, next(iter(loss.makers)), loss.shapes.of_terms(count)),
            {"reduction": "mean"},
            use=Backward(Times(count + 1.0)),
            dtypes=(dtype,),
        )
        for dtype, count in COUNTS.items()
    ]


def _made(loss: Loss, maker: str, shape: tuple[int, ...]) -> Builder:
    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        tensors = loss.makers[maker](shape, dtype, device, torch.Generator().manual_seed(1))
        return dict(zip(loss.tensors, tensors, strict=True))

    return build
