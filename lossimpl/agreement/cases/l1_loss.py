"""Hard cases of the L1 loss."""

from __future__ import annotations

from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check
from lossimpl.agreement.cases._regression import BASE, WEIGHT, regression
from lossimpl.agreement.uses import Backward, Times

CHECKS = (
    *regression(),
    *WEIGHT,
    Check(
        "the value and the signs",
        "closed form",
        {"input": [3.0, -1.0, 2.0], "target": [1.0, 1.0, 2.0]},
        {"reduction": "none"},
        {"value": [2.0, 2.0, 0.0], "gradient of input": [1.0, -1.0, 0.0]},
        dtypes=ALL_DTYPES,
    ),
    *(
        Check(
            f"the mean of differences that {dtype} cannot hold",
            f"closed form: (3 * {size + 0.5} + {size}) / 4, rounded once",
            {"input": [size] * 4, "target": [-0.5, -0.5, -0.5, 0.0]},
            expected={"value": size + 0.375},
            dtypes=(dtype,),
        )
        for dtype, size in (("float16", 1025.0), ("bfloat16", 129.0))
    ),
    Check(
        "256 times a mean over weights of sum 255: rounded once",
        "definition: 256 w / 255",
        {"input": [1.0] * 22, "target": [0.0] * 22, "weight": [*map(float, range(1, 22)), 24.0]},
        use=Backward(Times(256.0)),
        dtypes=("bfloat16", "float16"),
    ),
    Check(
        "two equal infinities",
        "arithmetic: inf - inf; torch.sign: a NaN has sign 0",
        {"input": [INF], "target": [INF]},
        expected={"value": NAN, "gradient of input": [0.0]},
        dtypes=ALL_DTYPES,
    ),
    Check(
        "one infinity",
        "closed form",
        {"input": [INF, -INF, 0.0], "target": [0.0, 0.0, INF]},
        {"reduction": "none"},
        {"value": [INF, INF, INF], "gradient of input": [1.0, -1.0, -1.0]},
        dtypes=ALL_DTYPES,
    ),
    Check(
        "opposite infinities",
        "closed form",
        {"input": [INF], "target": [-INF]},
        expected={"value": INF, "gradient of input": [1.0]},
    ),
    Check("subnormal difference", "closed form", {"input": [3e-42], "target": [0.0]}, {"reduction": "sum"}, tail=True),
    Check(
        "float32 difference beyond its range",
        "closed form: 6e38 is inf in float32",
        {"input": [3e38], "target": [-3e38]},
        expected={"value": INF, "gradient of input": [1.0]},
    ),
    Check(
        "mean over weights that sum to zero",
        "torch: divides by the sum of weights",
        {"input": [1.0, 2.0], "target": [0.0, 0.0], "weight": [0.0, 0.0]},
        expected={"value": NAN},
        ignored=("gradient of input",),
    ),
    Check(
        "weight of the wrong shape that would broadcast",
        "torch: ValueError",
        {**BASE, "weight": [[1.0, 2.0, 3.0]]},
        raises=(ValueError,),
        says=("weight", "[1, 3]", "[4, 3]"),
    ),
)
