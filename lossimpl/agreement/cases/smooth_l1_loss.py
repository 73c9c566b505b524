"""Hard cases of the smooth L1 loss."""

from __future__ import annotations

from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check
from lossimpl.agreement.cases._regression import BASE, regression

CHECKS = (
    *regression(),
    *(
        Check(
            f"beta {beta:g}, reduction {reduction}",
            "definition",
            BASE,
            {"beta": beta, "reduction": reduction},
            dtypes=ALL_DTYPES,
        )
        for beta in (0.25, 1.0, 2.5)
        for reduction in ("none", "mean")
    ),
    Check(
        "at the tie |d| = beta = 1",
        "closed form, continuous at the tie: torch.nn.SmoothL1Loss",
        {"input": [1.0, -1.0], "target": [0.0, 0.0]},
        {"reduction": "none"},
        {"value": [0.5, 0.5], "gradient of input": [1.0, -1.0]},
        dtypes=ALL_DTYPES,
    ),
    Check(
        "at the tie |d| = beta = 2",
        "closed form",
        {"input": [2.0], "target": [0.0]},
        {"beta": 2.0},
        {"value": 1.0, "gradient of input": [1.0]},
    ),
    Check(
        "beta 0 is the L1 loss",
        "torch.nn.SmoothL1Loss; pytorch/pytorch#96813",
        {"input": [1.0, 0.0, -3.0, 2.0], "target": [0.0, 2.0, 0.0, 2.0]},
        {"beta": 0.0, "reduction": "none"},
        {"value": [1.0, 2.0, 3.0, 0.0], "gradient of input": [1.0, -1.0, -1.0, 0.0]},
        dtypes=ALL_DTYPES,
    ),
    Check("integer beta", "torch: a number", BASE, {"beta": 2}),
    Check(
        "tiny beta is nearly L1",
        "closed form; flagos-ai/FlagGems#2777",
        {"input": [1.0, 1e-30], "target": [0.0, 0.0]},
        {"beta": 1e-20, "reduction": "none"},
        {"gradient of input": [1.0, 1e-10]},
        tail=True,
    ),
    Check(
        "beta below float32's range",
        "closed form: |d|",
        {"input": [1.0, 0.0], "target": [0.0, 0.0]},
        {"beta": 1e-300, "reduction": "none"},
        {"value": [1.0, 0.0], "gradient of input": [1.0, 0.0]},
    ),
    Check(
        "infinite beta",
        "closed form: d^2 / inf = 0",
        {"input": [3.0], "target": [0.0]},
        {"beta": INF},
        {"value": 0.0, "gradient of input": [0.0]},
        ignored=("value",),
    ),
    Check(
        "huge difference does not overflow",
        "closed form",
        {"input": [1e30], "target": [-1e30]},
        expected={"value": 2e30, "gradient of input": [1.0]},
    ),
    Check(
        "float16 40000 and -40000",
        "closed form: 8e4 is inf in float16",
        {"input": [40000.0], "target": [-40000.0]},
        expected={"value": INF, "gradient of input": [1.0]},
        dtypes=("float16",),
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
    *(
        Check(
            f"beta {beta}",
            "torch.nn.functional.smooth_l1_loss: RuntimeError for beta < 0; pytorch/pytorch#96813",
            BASE,
            {"beta": beta},
            raises=(RuntimeError,),
            says=("beta", str(beta), "0"),
        )
        for beta in (-1.0, -0.001, -INF)
    ),
    Check(
        "beta that is not a number",
        "torch: TypeError",
        BASE,
        {"beta": "one"},
        raises=(TypeError,),
        says=("beta", "one"),
    ),
)
