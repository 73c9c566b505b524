"""Cross entropy: calls that must raise, with the type of error that torch raises."""

from __future__ import annotations

import torch

from lossimpl.agreement.cases._classes import (
    BASE,
    SOFT,
    SPATIAL,
)
from lossimpl.agreement.cases._common import Check
from lossimpl.agreement.check import Typed

ERRORS = (
    Check(
        "ignore_index with probability targets",
        "torch.nn.functional.cross_entropy: RuntimeError; ignore_index is for class indices only",
        SOFT,
        {"ignore_index": 0},
        raises=(RuntimeError,),
        says=("ignore_index", "0", "float"),
    ),
    *(
        Check(
            f"target {label} of 3 classes, reduction {reduction}",
            "torch: IndexError; pytorch/pytorch#66872",
            {**BASE, "target": [2, 0, label, 1]},
            {"reduction": reduction},
            raises=(IndexError,),
            says=("target", str(label)),
        )
        for label in (3, -1, 1000, -101, 2**40)
        for reduction in ("mean", "none")
    ),
    Check(
        "a target beyond spatial logits",
        "torch: IndexError",
        {**SPATIAL, "target": [[2, 3], [1, 0]]},
        raises=(IndexError,),
        says=("target", "3"),
    ),
    Check(
        "ignore_index does not excuse another negative label",
        "torch: IndexError; pytorch/pytorch#66872",
        {**BASE, "target": [2, 0, -2, 1]},
        {"ignore_index": -1},
        raises=(IndexError,),
        says=("target", "-2"),
    ),
    *(
        Check(
            f"label_smoothing {value}",
            "torch: RuntimeError",
            BASE,
            {"label_smoothing": value},
            raises=(RuntimeError,),
            says=("label_smoothing", str(value), "0"),
        )
        for value in (-0.1, 1.5, 2.0)
    ),
    Check(
        "fewer targets than rows",
        "torch: ValueError",
        {**BASE, "target": [2, 0]},
        raises=(ValueError,),
        says=("batch", "4", "2"),
    ),
    Check(
        "int32 targets",
        "torch: RuntimeError",
        {**BASE, "target": Typed([2, 0, 1, 1], torch.int32)},
        raises=(RuntimeError,),
        says=("target", "int32"),
    ),
    Check(
        "weight of the wrong length",
        "torch: RuntimeError",
        {**BASE, "weight": [1.0, 1.0]},
        raises=(RuntimeError,),
        says=("weight", "3", "2"),
    ),
    Check(
        "weight of two dimensions",
        "torch: RuntimeError",
        {**BASE, "weight": [[1.0, 1.0, 1.0]]},
        raises=(RuntimeError,),
        says=("weight", "3"),
    ),
    Check(
        "integer targets of input's shape",
        "torch: RuntimeError",
        {**BASE, "target": [[2, 0, 1]] * 4},
        raises=(RuntimeError,),
        says=("target",),
    ),
    Check(
        "probabilities with the wrong number of classes",
        "torch: RuntimeError",
        {"input": SOFT["input"], "target": [[0.5, 0.5], [1.0, 0.0]]},
        raises=(RuntimeError, ValueError),
        says=("target",),
    ),
    Check(
        "spatial target of the wrong size",
        "torch: ValueError or RuntimeError",
        {**SPATIAL, "target": [[2, 0, 1], [1, 0, 1]]},
        raises=(RuntimeError, ValueError),
        says=("target",),
    ),
    Check(
        "a scalar input",
        "torch: an error",
        {"input": 1.0, "target": 0},
        raises=(RuntimeError, ValueError, IndexError),
        says=("input",),
    ),
    Check(
        "integer logits",
        "torch: NotImplementedError or RuntimeError",
        {"input": [[1, 2], [3, 4]], "target": [0, 1]},
        raises=(NotImplementedError, RuntimeError),
        says=("input", "int64"),
    ),
)
