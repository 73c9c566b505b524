"""Hard cases of binary cross entropy with logits. Literal numbers come from mpmath at 50 digits or a closed form."""

from __future__ import annotations

from typing import Any

import torch

from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check, every_loss
from lossimpl.agreement.check import Typed

BASE = {
    "input": [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 0.0, 1.0], [3.0, -1.0, 0.5]],
    "target": [[1.0, 0.0, 0.5], [0.0, 1.0, 0.25], [1.0, 1.0, 0.0], [0.0, 0.75, 1.0]],
}
WEIGHTS = {"weight": [0.5, 2.0, 0.0], "pos_weight": [1.0, 3.0, 0.5]}


def point(name: str, source: str, x: float, y: float, value: float, slope: float, **more: Any) -> Check:
    """One logit x with target y: its loss and its gradient."""
    return Check(
        f"{name}: x={x:g}, y={y:g}",
        source,
        {"input": [x], "target": [y]},
        expected={"value": value, "gradient of input": [slope]},
        **more,
    )


INFINITE = "closed form; pytorch/pytorch#49844, pytorch/pytorch#102894: torch gives NaN"
POINTS = (
    point("infinite", INFINITE, -INF, 0.9, INF, -0.9, dtypes=("float64", "float32")),
    point("infinite", INFINITE, INF, 1.0, 0.0, 0.0, dtypes=ALL_DTYPES),
    point("infinite", INFINITE, -INF, 0.0, 0.0, 0.0, dtypes=ALL_DTYPES),
    point("infinite", INFINITE, INF, 0.0, INF, 1.0, dtypes=ALL_DTYPES),
    point("infinite", INFINITE, -INF, 1.0, INF, -1.0, dtypes=ALL_DTYPES),
    point("infinite", INFINITE, INF, 0.5, INF, 0.5, dtypes=ALL_DTYPES),
    point("zero", "closed form: ln 2", 0.0, 1.0, 0.69314718055994531, -0.5, dtypes=ALL_DTYPES),
    point("large logit, wrong label", "closed form: softplus(120)", -120.0, 1.0, 120.0, -1.0, dtypes=ALL_DTYPES),
    point(
        "large logit, wrong label",
        "closed form: softplus(1e30)",
        1e30,
        0.0,
        1e30,
        1.0,
        dtypes=("float64", "float32", "bfloat16"),
    ),
    point("large logit, wrong label", "closed form", -3e38, 1.0, 3e38, -1.0),
    point("large logit, wrong label", "closed form", 6e4, 0.0, 6e4, 1.0, dtypes=("float16",)),
    point("large logit, right label", "closed form", 1e30, 1.0, 0.0, 0.0),
    *(
        point(
            "the tail keeps its digits",
            "mpmath: log1p(exp(-|x|)); pytorch/pytorch#195529",
            x,
            y,
            value,
            slope,
            dtypes=("float64", "float32"),
            tail=True,
        )
        for x, y, value, slope in (
            (20.0, 1.0, 2.0611536203143807e-09, -2.0611536181902037e-09),
            (-20.0, 0.0, 2.0611536203143807e-09, 2.0611536181902037e-09),
            (40.0, 1.0, 4.2483542552915890e-18, -4.2483542552915890e-18),
            (-40.0, 0.0, 4.2483542552915890e-18, 4.2483542552915890e-18),
            (80.0, 1.0, 1.8048513878454152e-35, -1.8048513878454152e-35),
        )
    ),
    point("NaN logit", "arithmetic", NAN, 1.0, NAN, NAN),
    point("NaN target", "arithmetic", 1.0, NAN, NAN, NAN),
    point(
        "a target beyond 1 is not checked",
        "torch: -x y + softplus(x)",
        2.0,
        1.5,
        -0.87307198895702750,
        -0.61920292202211760,
    ),
    point(
        "a target below 0 is not checked",
        "torch: -x y + softplus(x)",
        2.0,
        -0.5,
        3.1269280110429725,
        1.3807970779778824,
    ),
)

OPTIONS = (
    *(
        Check(
            f"weight {'and' if len(names) > 1 else 'or'} pos_weight ({', '.join(names)}), reduction {reduction}",
            "torch.nn.functional",
            {**BASE, **{name: WEIGHTS[name] for name in names}},
            {"reduction": reduction},
            dtypes=ALL_DTYPES,
        )
        for names in (("weight",), ("pos_weight",), ("weight", "pos_weight"))
        for reduction in ("none", "mean", "sum")
    ),
    Check("pos_weight of one element", "torch.nn.functional: broadcasts", {**BASE, "pos_weight": [2.5]}),
    Check("pos_weight of input's shape", "torch.nn.functional: broadcasts", {**BASE, "pos_weight": BASE["target"]}),
    Check(
        "pos_weight 0 on a misclassified positive with a large logit",
        "closed form: 0 softplus; pytorch/pytorch#13773",
        {"input": [-120.0, -INF], "target": [1.0, 1.0], "pos_weight": [0.0]},
        {"reduction": "sum"},
        {"value": 0.0, "gradient of input": [0.0, 0.0]},
    ),
    Check(
        "pos_weight 1 on a misclassified positive with a large logit",
        "closed form; pytorch/pytorch#13773",
        {"input": [-120.0], "target": [1.0], "pos_weight": [1.0]},
        expected={"value": 120.0, "gradient of input": [-1.0]},
    ),
    Check(
        "pos_weight 3 in the right tail",
        "mpmath: 3 log1p(exp(-30))",
        {"input": [30.0], "target": [1.0], "pos_weight": [3.0]},
        expected={"value": 2.8072868906519210e-13, "gradient of input": [-2.8072868906517897e-13]},
        tail=True,
    ),
    Check(
        "weight 0 masks a large logit",
        "closed form",
        {"input": [1e30, 0.0], "target": [0.0, 1.0], "weight": [0.0, 1.0]},
        {"reduction": "sum"},
        {"value": 0.69314718055994531, "gradient of input": [0.0, -0.5]},
    ),
    Check("weight of one column", "torch.nn.functional: broadcasts", {**BASE, "weight": [[1.0], [2.0], [0.5], [0.0]]}),
    Check(
        "the mean divides by elements, not by weights",
        "torch.nn.functional",
        {"input": [0.0, 0.0], "target": [1.0, 0.0], "weight": [3.0, 1.0]},
        expected={"value": 2 * 0.69314718055994531},
    ),
    Check(
        "scalar input and target",
        "torch.nn.functional",
        {"input": 0.0, "target": 1.0},
        expected={"value": 0.69314718055994531, "gradient of input": -0.5},
    ),
    Check(
        "targets of a wider dtype",
        "torch.nn.functional: promotion",
        {**BASE, "target": Typed(BASE["target"], torch.float64)},
        result="float64",
    ),
    Check(
        "the mean of half precision is accumulated in float32",
        "closed form: softplus(2); pytorch/pytorch#91597: a float16 mean whose sum overflows",
        lambda dtype, device: {
            "input": torch.full((4, 25_000), 2.0, dtype=dtype, device=device),
            "target": torch.zeros(4, 25_000, dtype=dtype, device=device),
        },
        expected={"value": 2.1269280110429727},
        dtypes=("bfloat16", "float16"),
        ulp=0.51,
        ignored=("gradient of input",),
    ),
)

ERRORS = (
    Check(
        "target of the wrong shape",
        "torch: ValueError",
        {**BASE, "target": [1.0, 0.0, 1.0]},
        raises=(ValueError,),
        says=("target", "4, 3", "[3]"),
    ),
    Check(
        "target that would broadcast",
        "torch: ValueError",
        {"input": [[0.5]], "target": [1.0]},
        raises=(ValueError,),
        says=("target",),
    ),
    Check(
        "weight that does not broadcast",
        "torch: RuntimeError",
        {**BASE, "weight": [1.0, 2.0]},
        raises=(RuntimeError,),
        says=("weight", "2", "3"),
    ),
    Check(
        "pos_weight that does not broadcast",
        "torch: RuntimeError",
        {**BASE, "pos_weight": [1.0, 2.0]},
        raises=(RuntimeError,),
        says=("pos_weight", "2", "3"),
    ),
    Check(
        "integer targets",
        "torch: an error",
        {"input": [0.5, 1.0], "target": [1, 0]},
        raises=(RuntimeError,),
        says=("target", "int64"),
    ),
)

CHECKS = (*every_loss(BASE, ("input", "target")), *POINTS, *OPTIONS, *ERRORS)
