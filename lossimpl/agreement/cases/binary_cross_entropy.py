"""Hard cases of binary cross entropy of probabilities; the clamps at -100 and 1e-12 are torch's documented contract."""

from __future__ import annotations

from typing import Any

import torch

from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check, every_loss
from lossimpl.agreement.check import Typed

BASE = {
    "input": [[0.5, 0.125, 0.875], [0.25, 0.75, 0.375], [0.0625, 0.5, 0.9375], [0.75, 0.25, 0.5]],
    "target": [[1.0, 0.0, 0.5], [0.0, 1.0, 0.25], [1.0, 1.0, 0.0], [0.0, 0.75, 1.0]],
}
CONTRACT = "torch.nn.BCELoss: logarithms clamped at -100"


def point(name: str, source: str, p: float, y: float, value: float, slope: float, **more: Any) -> Check:
    """One probability p with target y: its loss and its gradient."""
    return Check(
        f"{name}: p={p:g}, y={y:g}",
        source,
        {"input": [p], "target": [y]},
        expected={"value": value, "gradient of input": [slope]},
        **more,
    )


POINTS = (
    point("exactly wrong", CONTRACT, 0.0, 1.0, 100.0, -1e12, dtypes=("float64", "float32", "bfloat16")),
    point("exactly wrong", CONTRACT, 1.0, 0.0, 100.0, 1e12, dtypes=("float64", "float32", "bfloat16")),
    point("exactly wrong, gradient beyond float16", CONTRACT, 0.0, 1.0, 100.0, -INF, dtypes=("float16",)),
    point("exactly right", CONTRACT, 1.0, 1.0, 0.0, 0.0, dtypes=ALL_DTYPES),
    point("exactly right", CONTRACT, 0.0, 0.0, 0.0, 0.0, dtypes=ALL_DTYPES),
    point("tiny", "mpmath: -log 1e-30; gradient clamp 1e-12", 1e-30, 1.0, 69.077552789821371, -1e12),
    point(
        "subnormal", "mpmath: -log 1e-40 of the quantised input; gradient clamp", 1e-40, 1.0, 92.103409109664877, -1e12
    ),
    point("below the clamp", "clamp at -100 (log 1e-60 is -138)", 1e-60, 1.0, 100.0, -1e12, dtypes=("float64",)),
    point("soft target at 0", CONTRACT, 0.0, 0.25, 25.0, -0.25e12),
    point("soft target at 1", CONTRACT, 1.0, 0.25, 75.0, 0.75e12),
    point("half", "closed form: ln 2", 0.5, 1.0, 0.69314718055994531, -2.0, dtypes=ALL_DTYPES),
    Check(
        "small p against y=0 keeps its digits",
        "mpmath: -log1p(-p)",
        {"input": [1e-6], "target": [0.0]},
        dtypes=("float64", "float32"),
        tail=True,
    ),
    Check(
        "p just below 1 against y=0",
        "mpmath: log of the spacing of float32",
        {"input": [1 - 2**-24], "target": [0.0]},
        expected={"value": 16.635532333438687, "gradient of input": [2.0**24]},
        tail=True,
    ),
    Check(
        "sigmoid(-50), y=1: the gradient with respect to p",
        "closed form: -1/p, clamped at 1e12",
        {"input": [1.9287498479639178e-22], "target": [1.0]},
        expected={"value": 50.0},
    ),
)

OPTIONS = (
    *(
        Check(
            f"weight per {what}, reduction {reduction}",
            "torch.nn.functional",
            {**BASE, "weight": weight},
            {"reduction": reduction},
            dtypes=ALL_DTYPES,
        )
        for what, weight in (
            ("column", [0.5, 2.0, 0.0]),
            ("row", [[1.0], [2.0], [0.5], [0.0]]),
            ("element", BASE["input"]),
        )
        for reduction in ("none", "mean", "sum")
    ),
    Check(
        "scalar input and target",
        "torch.nn.functional",
        {"input": 0.5, "target": 1.0},
        expected={"value": 0.69314718055994531, "gradient of input": -2.0},
    ),
    Check(
        "the mean of half precision is accumulated in float32",
        "closed form: 3 ln 2; pytorch/pytorch#91597: a float16 mean whose sum overflows",
        lambda dtype, device: {
            "input": torch.full((4, 25_000), 0.125, dtype=dtype, device=device),
            "target": torch.ones(4, 25_000, dtype=dtype, device=device),
        },
        expected={"value": 2.0794415416798357},
        dtypes=("bfloat16", "float16"),
        ulp=0.51,
        ignored=("gradient of input",),
    ),
)

ERRORS = (
    *(
        Check(
            f"{name} of {value}",
            "torch.nn.functional.binary_cross_entropy: RuntimeError unless all elements are between 0 and 1",
            {**{"input": [0.5, 0.5], "target": [0.5, 0.5]}, name: [0.5, value]},
            raises=(RuntimeError,),
            says=(name, "between 0 and 1"),
        )
        for name in ("input", "target")
        for value in (1.0001, -0.0001, INF, -INF, NAN)
    ),
    Check(
        "target of the wrong shape",
        "torch: ValueError",
        {**BASE, "target": [1.0, 0.0, 1.0]},
        raises=(ValueError,),
        says=("target", "4, 3", "[3]"),
    ),
    Check(
        "weight that does not broadcast",
        "torch: RuntimeError",
        {**BASE, "weight": [1.0, 2.0]},
        raises=(RuntimeError,),
        says=("weight", "2", "3"),
    ),
    Check(
        "targets of the wrong dtype",
        "torch: RuntimeError",
        {**BASE, "target": Typed(BASE["target"], torch.float64)},
        raises=(RuntimeError,),
        says=("target", "float64", "float32"),
    ),
)

CHECKS = (*every_loss(BASE, ("input", "target")), *POINTS, *OPTIONS, *ERRORS)
