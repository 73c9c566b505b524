"""Cross entropy: infinite logits, common offsets, and tails in which a naive formula loses all digits.

Literal numbers come from mpmath at 50 digits unless the source column says otherwise.
"""

from __future__ import annotations

from lossimpl.agreement.cases._classes import (
    LN2,
    leading,
    logits,
)
from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check

INFINITE = (
    Check(
        "another class has logit -inf",
        "closed form: log(1 + 1/e) + 1",
        {"input": [[-INF, 0.0, 1.0]], "target": [1]},
        expected={"value": 1.3132616875182228, "gradient of input": [[0.0, -0.73105857863000488, 0.73105857863000488]]},
        dtypes=ALL_DTYPES,
    ),
    Check(
        "the target itself is -inf",
        "closed form: -log 0",
        {"input": [[-INF, 0.0, 1.0]], "target": [0]},
        expected={"value": INF, "gradient of input": [[-1.0, 0.26894142136999512, 0.73105857863000488]]},
        dtypes=ALL_DTYPES,
    ),
    *(
        Check(
            f"{name} gives NaN",
            "closed form: inf - inf; pytorch/pytorch#161150",
            {"input": [row], "target": [target]},
            expected={"value": NAN},
            ignored=("gradient of input",),
            dtypes=("float32", "bfloat16"),
        )
        for name, row, target in (
            ("a +inf logit at the target", [INF, 0.0, 1.0], 0),
            ("a +inf logit of another class", [INF, 0.0, 1.0], 1),
            ("a row of -inf", [-INF, -INF, -INF], 1),
            ("a NaN logit at the target", [NAN, 0.0, 1.0], 0),
            ("a NaN logit of another class", [NAN, 0.0, 1.0], 2),
        )
    ),
    Check(
        "another class has logit -inf, with smoothing",
        "closed form: smoothing weighs log 0",
        {"input": [[-INF, 0.0, 1.0]], "target": [1]},
        {"label_smoothing": 0.1},
        {"value": INF},
        ignored=("gradient of input",),
    ),
    Check(
        "the target itself is -inf, smoothing 1",
        "closed form: -log 0 / C",
        {"input": [[-INF, 0.0, 1.0]], "target": [0]},
        {"label_smoothing": 1.0},
        {"value": INF},
        ignored=("gradient of input",),
    ),
    Check(
        "a NaN row leaves the others alone",
        "definition, reduction none",
        {"input": [[NAN, 0.0], [0.0, 0.0]], "target": [0, 1]},
        {"reduction": "none"},
        {"value": [NAN, LN2]},
        ignored=("gradient of input",),
    ),
    Check(
        "leading -inf classes in a long row",
        "Dao-AILab/flash-attention#1930: NaN from an online softmax",
        {"input": [[-INF] * 1500 + [0.0, 0.0]], "target": [1500]},
        expected={"value": LN2},
    ),
)

OFFSETS = (
    *(
        Check(
            f"two equal logits of {value:g}",
            "closed form: ln 2; pytorch/pytorch#11752, ml-explore/mlx#4188",
            {"input": [[value, value]], "target": [0]},
            expected={"value": LN2, "gradient of input": [[-0.5, 0.5]]},
            dtypes=dtypes,
        )
        for value, dtypes in (
            (1.0, ALL_DTYPES),
            (1e4, ALL_DTYPES),
            (1e6, ("float64", "float32", "bfloat16")),
            (1e8, ("float64", "float32")),
            (-1e30, ("float64", "float32")),
            (1e30, ("float64", "float32")),
            (3e38, ("float64", "float32")),
        )
    ),
    *(
        Check(
            f"logits shifted by {shift:g}",
            "pytorch/pytorch#11752, ml-explore/mlx#4188; oracle on shifted input",
            logits(6, 33, shift),
            dtypes=("float64", "float32"),
        )
        for shift in (100.0, 1e4, -1e6)
    ),
    Check(
        "logits of opposite sign near the largest float",
        "closed form: the difference, 2e38",
        {"input": [[1e38, -1e38]], "target": [1]},
        expected={"value": 2e38, "gradient of input": [[1.0, -1.0]]},
    ),
)

TAILS = (
    *(
        Check(
            f"a lead of {lead:g}: the small loss keeps its digits",
            "mpmath: log1p(exp(-lead)), 1 / (1 + exp(lead))",
            {"input": [[lead, 0.0]], "target": [0]},
            expected={"value": value, "gradient of input": [[-slope, slope]]},
            dtypes=("float64", "float32"),
            tail=True,
        )
        for lead, value, slope in (
            (20.0, 2.0611536203143807e-09, 2.0611536181902036e-09),
            (40.0, 4.2483542552915890e-18, 4.2483542552915890e-18),
            (80.0, 1.8048513878454152e-35, 1.8048513878454152e-35),
        )
    ),
    Check(
        "a lead of 20 under smoothing",
        "oracle",
        {"input": [[20.0, 0.0, 1.0]], "target": [0]},
        {"label_smoothing": 0.1},
        dtypes=("float64", "float32"),
        tail=True,
    ),
    Check(
        "target logit is the row's maximum plus 10",
        "linkedin/Liger-Kernel, test/transformers/test_cross_entropy.py",
        leading(10.0),
        dtypes=ALL_DTYPES,
        tail=True,
    ),
    Check(
        "the result is rounded to the dtype once",
        "definition; torch 2.13 on CPU gives 8.75 for 8.78395 in bfloat16",
        logits(64, 4096),
        dtypes=("bfloat16", "float16"),
        ulp=0.501,
        ignored=("gradient of input",),
    ),
    Check(
        "the gradient is rounded to the dtype once",
        "definition: computed in float32, rounded once",
        logits(16, 512),
        {"reduction": "sum"},
        dtypes=("bfloat16", "float16"),
        ulp=0.51,
    ),
)

NUMBERS = (*INFINITE, *OFFSETS, *TAILS)
