"""Hard cases of the squared loss."""

from __future__ import annotations

import torch

from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check
from lossimpl.agreement.cases._regression import WEIGHT, regression

CHECKS = (
    *regression(),
    *WEIGHT,
    Check(
        "the value and the slopes",
        "closed form",
        {"input": [3.0, -1.0, 2.0], "target": [1.0, 1.0, 2.0]},
        {"reduction": "none"},
        {"value": [4.0, 4.0, 0.0], "gradient of input": [4.0, -4.0, 0.0]},
        dtypes=ALL_DTYPES,
    ),
    Check(
        "float16 square beyond its range",
        "closed form: 9e4 is inf in float16",
        {"input": [300.0], "target": [0.0]},
        expected={"value": INF, "gradient of input": [600.0]},
        dtypes=("float16",),
    ),
    *(
        Check(
            f"1e5 float16 differences of 2, {reduction}",
            "closed form; pytorch/pytorch#91597: a float16 mean whose sum overflows",
            lambda dtype, device: {
                "input": torch.full((4, 25_000), 2.0, dtype=dtype, device=device),
                "target": torch.zeros(4, 25_000, dtype=dtype, device=device),
            },
            {"reduction": reduction},
            {"value": value},
            dtypes=("float16",),
            ignored=("gradient of input",),
        )
        for reduction, value in (("mean", 4.0), ("sum", INF))
    ),
    Check(
        "(3, 1) of ones against (3,) of zeros",
        "torch.nn.functional.mse_loss: broadcasting",
        {"input": [[1.0], [1.0], [1.0]], "target": [0.0] * 3},
        expected={"value": 1.0, "gradient of input": [[2 / 3]] * 3},
    ),
    Check(
        "two equal infinities",
        "arithmetic: inf - inf",
        {"input": [INF], "target": [INF]},
        expected={"value": NAN, "gradient of input": [NAN]},
    ),
    Check(
        "one infinity",
        "closed form",
        {"input": [INF, 0.0], "target": [0.0, INF]},
        {"reduction": "none"},
        {"value": [INF, INF], "gradient of input": [INF, -INF]},
    ),
    Check(
        "float32 square beyond its range",
        "closed form: 1e40",
        {"input": [1e20], "target": [0.0]},
        expected={"value": INF, "gradient of input": [2e20]},
    ),
    Check(
        "a tiny square",
        "closed form: 1e-36",
        {"input": [1e-18], "target": [0.0]},
        expected={"value": 1e-36, "gradient of input": [2e-18]},
        tail=True,
    ),
    Check(
        "mean over weights that sum to zero",
        "torch: divides by the sum of weights",
        {"input": [1.0, 2.0], "target": [0.0, 0.0], "weight": [0.0, 0.0]},
        expected={"value": NAN},
        ignored=("gradient of input",),
    ),
)
