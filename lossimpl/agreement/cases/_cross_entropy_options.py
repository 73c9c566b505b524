"""Cross entropy: option combinations, shapes, sizes, probability targets.

Literal numbers come from mpmath at 50 digits unless the source column says otherwise.
"""

from __future__ import annotations

import math

import torch

from lossimpl.agreement.cases._classes import (
    BASE,
    LN2,
    SOFT,
    SPATIAL,
    WEIGHT,
    channels_last,
    every_other_column,
    logits,
    sequence_first,
)
from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check
from lossimpl.agreement.check import Typed

OPTIONS = (
    *(
        Check(
            f"weight, smoothing {smoothing}, ignore_index {index}, reduction {reduction}",
            "pytorch/pytorch#72056",
            {**BASE, "target": [2, 0, 1, index], "weight": WEIGHT},
            {"label_smoothing": smoothing, "ignore_index": index, "reduction": reduction},
            dtypes=("float64", "float32", "bfloat16"),
        )
        for smoothing in (0.0, 0.1, 1.0)
        for index in (-100, 1)
        for reduction in ("none", "mean", "sum")
    ),
    Check(
        "a single class",
        "closed form: log 1",
        {"input": [[3.0], [-5.0]], "target": [0, 0]},
        expected={"value": 0.0, "gradient of input": [[0.0], [0.0]]},
    ),
    Check(
        "one row without a batch dimension",
        "torch.nn.functional.cross_entropy: input (C)",
        {"input": [0.0, 0.0], "target": 1},
        expected={"value": LN2, "gradient of input": [0.5, -0.5]},
    ),
    Check(
        "one row without a batch dimension, ignored, none",
        "torch.nn.functional.cross_entropy: input (C)",
        {"input": [0.0, 0.0], "target": -100},
        {"reduction": "none"},
        {"value": 0.0, "gradient of input": [0.0, 0.0]},
    ),
    Check(
        "uint8 targets",
        "torch.nn.functional.cross_entropy: Long or Byte",
        {**BASE, "target": Typed([2, 0, 1, 1], torch.uint8)},
    ),
    Check(
        "uint8 targets among more than 256 classes",
        "closed form: ln(300); -1 is not the byte 255",
        {"input": [[0.0] * 300] * 2, "target": Typed([191, 255], torch.uint8)},
        {"ignore_index": -1},
        {"value": math.log(300)},
        dtypes=("float64", "float32"),
    ),
    *(
        Check(
            f"spatial targets, reduction {reduction}, smoothing {smoothing}",
            "torch.nn.functional.cross_entropy: (N, C, d1)",
            {**SPATIAL, "weight": [1.0, 2.0, 0.5]},
            {"reduction": reduction, "label_smoothing": smoothing},
            dtypes=("float32", "bfloat16"),
        )
        for reduction in ("none", "mean", "sum")
        for smoothing in (0.0, 0.2)
    ),
    Check("sequence-first logits", "NVIDIA/TransformerEngine#2734", sequence_first, dtypes=("float32", "bfloat16")),
    Check("every other column", "unslothai/unsloth#10713", every_other_column, dtypes=("float32", "bfloat16")),
    Check("channels-last logits", "pytorch/pytorch#67167", channels_last, dtypes=("float32", "bfloat16")),
    Check("channels-last logits, none", "pytorch/pytorch#67167", channels_last, {"reduction": "none"}),
    Check(
        "float16 mean over a long sequence stays finite",
        "pytorch/pytorch#85791, pytorch/pytorch#29429",
        logits(2000, 60),
        dtypes=("float16",),
    ),
    Check(
        "float16 loss beyond its range",
        "closed form: 1.3e5 rounds to inf",
        {"input": [[6.5e4, -6.5e4]], "target": [1]},
        expected={"value": INF},
        dtypes=("float16",),
        ignored=("gradient of input",),
    ),
)

SIZES = (
    *(
        Check(
            f"{rows} x {classes}",
            "Dao-AILab/quack, tests/test_cross_entropy.py: around vector and block boundaries",
            logits(rows, classes),
        )
        for rows in (1, 77, 289)
        for classes in (1, 2, 3, 192, 668, 1128)
    ),
    *(
        Check(f"{rows} x {classes}", "vocabulary sizes of language models", logits(rows, classes))
        for rows, classes in ((33, 4096), (5, 32000), (3, 50257), (2, 65537), (2, 128256), (2, 262144))
    ),
    Check("2 x 50257, half", "an odd vocabulary size", logits(2, 50257), dtypes=("bfloat16", "float16")),
)

PROBABILITIES = (
    *(
        Check(
            f"probability targets, smoothing {smoothing}, weight {weight}, {reduction}",
            "torch.nn.functional.cross_entropy",
            {**SOFT, **({"weight": [0.5, 2.0, 1.0]} if weight else {})},
            {"label_smoothing": smoothing, "reduction": reduction},
            dtypes=ALL_DTYPES,
        )
        for smoothing in (0.0, 0.3)
        for weight in (False, True)
        for reduction in ("none", "mean", "sum")
    ),
    Check(
        "probabilities that do not sum to one",
        "torch.nn.functional.cross_entropy: no check of the simplex",
        {"input": [[0.5, -1.0, 2.0]], "target": [[0.5, 2.0, -1.0]]},
        dtypes=("float64", "float32"),
    ),
    Check(
        "probabilities all zero",
        "closed form: an empty sum",
        {"input": [[0.5, -1.0, 2.0]], "target": [[0.0, 0.0, 0.0]]},
        expected={"value": 0.0, "gradient of input": [[0.0, 0.0, 0.0]]},
    ),
    Check(
        "probability 0 of a class with logit -inf adds 0",
        "closed form: 0 log 0 = 0; google-deepmind/optax#896",
        {"input": [[-INF, 0.0, 1.0]], "target": [[0.0, 1.0, 0.0]]},
        expected={"value": 1.3132616875182228, "gradient of input": [[0.0, -0.73105857863000488, 0.73105857863000488]]},
    ),
    Check(
        "positive probability of a class with logit -inf",
        "closed form: -t log 0",
        {"input": [[-INF, 0.0, 1.0]], "target": [[0.5, 0.5, 0.0]]},
        expected={"value": INF},
        ignored=("gradient of input",),
    ),
    Check(
        "NaN among the probabilities",
        "arithmetic",
        {"input": [[0.0, 1.0]], "target": [[NAN, 0.5]]},
        expected={"value": NAN},
        ignored=("gradient of input",),
    ),
    Check(
        "one-hot probabilities equal the index",
        "closed form",
        {"input": [[0.5, -1.0, 2.0]], "target": [[0.0, 0.0, 1.0]]},
        expected={"value": 0.24131129665715706},
    ),
    Check(
        "spatial probabilities",
        "torch.nn.functional.cross_entropy: (N, C, d1)",
        {**SPATIAL, "target": [[[0.5, 0.0], [0.25, 1.0], [0.25, 0.0]], [[0.0, 0.1], [1.0, 0.2], [0.0, 0.7]]]},
        {"reduction": "none"},
    ),
    Check(
        "probability targets of a wider dtype",
        "torch.nn.functional.cross_entropy: promotion",
        {"input": SOFT["input"], "target": Typed(SOFT["target"], torch.float64)},
        result="float64",
    ),
    Check(
        "class V - 1 and class 0",
        "torch: valid targets are 0 to C - 1; pytorch/pytorch#66872",
        {**BASE, "target": [2, 0, 2, 0]},
    ),
    Check(
        "probability targets without rows",
        "torch: the mean of an empty batch is NaN",
        lambda dtype, device: {
            "input": torch.zeros(0, 3, dtype=dtype, device=device),
            "target": torch.zeros(0, 3, dtype=dtype, device=device),
        },
        expected={"value": NAN},
    ),
)

ARGUMENTS = (*OPTIONS, *SIZES, *PROBABILITIES)
