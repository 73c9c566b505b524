"""Hard cases of the Huber loss."""

from __future__ import annotations

from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check
from lossimpl.agreement.cases._regression import BASE, WEIGHT, regression

CHECKS = (
    *regression(wider="float32"),  # torch.nn.functional.huber_loss: the result has input's own dtype
    *WEIGHT,
    *(
        Check(
            f"delta {delta:g}, reduction {reduction}",
            "definition",
            BASE,
            {"delta": delta, "reduction": reduction},
            dtypes=ALL_DTYPES,
        )
        for delta in (0.25, 1.0, 2.5)
        for reduction in ("none", "mean")
    ),
    Check(
        "at the tie |d| = delta = 1",
        "closed form, continuous at the tie: torch.nn.HuberLoss",
        {"input": [1.0, -1.0], "target": [0.0, 0.0]},
        {"reduction": "none"},
        {"value": [0.5, 0.5], "gradient of input": [1.0, -1.0]},
        dtypes=ALL_DTYPES,
    ),
    Check(
        "at the tie |d| = delta = 2",
        "closed form",
        {"input": [-2.0], "target": [0.0]},
        {"delta": 2.0},
        {"value": 2.0, "gradient of input": [-2.0]},
    ),
    Check("integer delta", "torch: a number", BASE, {"delta": 2}),
    Check(
        "float16 300 and -300",
        "closed form: 600 - 1/2; pytorch/pytorch#166952: half precision on CPU",
        {"input": [300.0], "target": [-300.0]},
        expected={"value": 599.5, "gradient of input": [1.0]},
        dtypes=("float16",),
    ),
    Check(
        "tiny delta",
        "closed form: delta |d|",
        {"input": [1.0], "target": [0.0]},
        {"delta": 1e-20},
        {"value": 1e-20, "gradient of input": [1e-20]},
        tail=True,
    ),
    Check(
        "infinite delta is half the square",
        "closed form",
        {"input": [3.0], "target": [0.0]},
        {"delta": INF},
        {"value": 4.5, "gradient of input": [3.0]},
        dtypes=("float64", "float32"),
    ),
    Check(
        "huge delta does not overflow on a small difference",
        "closed form",
        {"input": [3.0], "target": [0.0]},
        {"delta": 1e38},
        {"value": 4.5, "gradient of input": [3.0]},
    ),
    Check(
        "huge difference does not overflow",
        "closed form",
        {"input": [1e30], "target": [-1e30]},
        expected={"value": 2e30, "gradient of input": [1.0]},
    ),
    Check(
        "infinite difference",
        "closed form",
        {"input": [INF, -INF], "target": [0.0, 0.0]},
        {"reduction": "none"},
        {"value": [INF, INF], "gradient of input": [1.0, -1.0]},
        dtypes=ALL_DTYPES,
    ),
    Check(
        "two equal infinities",
        "arithmetic: inf - inf",
        {"input": [INF], "target": [INF]},
        expected={"value": NAN},
        ignored=("gradient of input",),
    ),
    Check(
        "a tiny difference keeps its digits",
        "closed form: d^2 / 2",
        {"input": [1e-12], "target": [0.0]},
        expected={"value": 5e-25, "gradient of input": [1e-12]},
        tail=True,
    ),
    Check(
        "the mean divides by elements, not by weights",
        "torch.nn.functional.huber_loss",
        {"input": [2.0, 0.5], "target": [0.0, 0.0], "weight": [3.0, 1.0]},
        expected={"value": 2.3125},
    ),
    *(
        Check(
            f"delta {delta}",
            "torch.nn.functional.huber_loss: RuntimeError for delta <= 0",
            BASE,
            {"delta": delta},
            raises=(RuntimeError,),
            says=("delta", str(delta), "0"),
        )
        for delta in (0, 0.0, -1.0, -INF)
    ),
    Check(
        "delta that is not a number",
        "torch: TypeError",
        BASE,
        {"delta": "one"},
        raises=(TypeError,),
        says=("delta", "one"),
    ),
)
