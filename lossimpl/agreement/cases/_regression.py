"""The checks shared by the losses of a difference x - y: broadcasting, promotion, offsets, errors."""

from __future__ import annotations

import torch

from lossimpl.agreement.cases._common import ALL_DTYPES, NAN, Check, every_loss
from lossimpl.agreement.check import Typed

BASE = {
    "input": [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 0.0, 1.0], [3.0, -1.0, 0.5]],
    "target": [[0.25, 1.0, -2.0], [1.5, -0.25, -1.25], [0.0, 4.0, 1.5], [-3.0, -0.5, 0.0]],
}


def regression(wider: str = "float64") -> tuple[Check, ...]:
    """The common checks of a regression loss; `wider` is the result's dtype for a float64 target."""
    promoted = Check(
        "target of a wider dtype",
        "torch: promotion; pytorch/pytorch#76646: its gradient fails",
        {**BASE, "target": Typed(BASE["target"], torch.float64)},
        result=wider,
    )
    return (*every_loss(BASE, ("input", "target")), promoted, *SHAPES, *NUMBERS, *ERRORS)


SHAPES = (
    *(
        Check(
            f"{name} against each other, reduction {reduction}",
            "torch.nn.functional: broadcasting",
            {"input": input, "target": target},
            {"reduction": reduction},
            dtypes=("float32", "bfloat16"),
            roundings=3,
        )
        for name, input, target in (
            ("(3, 1) and (3,)", [[1.0], [2.0], [3.0]], [0.0, 0.5, -1.0]),
            ("(3,) and (2, 3)", [1.0, 2.0, 3.0], [[0.0, 0.5, -1.0], [4.0, 2.0, 2.5]]),
            ("(2, 3) and a scalar", [[0.0, 0.5, -1.0], [4.0, 2.0, 2.5]], 1.0),
            ("(1, 3) and (2, 1)", [[0.0, 0.5, -1.0]], [[4.0], [2.0]]),
        )
        for reduction in ("none", "mean", "sum")
    ),
    Check("two scalars", "torch.nn.functional", {"input": 3.0, "target": 1.0}),
    Check(
        "an empty row broadcasts",
        "torch: the mean of an empty batch is NaN",
        lambda dtype, device: {
            "input": torch.zeros(0, 3, dtype=dtype, device=device),
            "target": torch.zeros(1, 3, dtype=dtype, device=device),
        },
        expected={"value": NAN},
    ),
    Check(
        "five dimensions",
        "definition",
        lambda dtype, device: {
            "input": torch.arange(48, device=device).to(dtype).view(2, 3, 1, 4, 2) / 16,
            "target": torch.arange(48, device=device).flip(0).to(dtype).view(2, 3, 1, 4, 2) / 16,
        },
    ),
)

NUMBERS = (
    Check(
        "no difference",
        "closed form: 0",
        {"input": [1.0, -2.0], "target": [1.0, -2.0]},
        expected={"value": 0.0, "gradient of input": [0.0, 0.0]},
        dtypes=ALL_DTYPES,
    ),
    *(
        Check(
            f"common offset {offset:g}",
            "oracle on the quantised difference",
            {"input": [offset + 2.0, offset], "target": [offset, offset - 4.0]},
            {"reduction": "none"},
            dtypes=("float64", "float32"),
        )
        for offset in (1e3, 1e6, -8e6)
    ),
    Check(
        "opposite ends of the range of half precision",
        "closed form: the difference is taken in float32; pytorch/pytorch#166952",
        {"input": [300.0, 6e4], "target": [-300.0, -6e4]},
        {"reduction": "none"},
        dtypes=("float16",),
    ),
    Check(
        "opposite ends of the range of half precision, mean",
        "closed form: the difference is taken in float32",
        {"input": [40000.0], "target": [-40000.0]},
        dtypes=("float16",),
    ),
    Check(
        "NaN among numbers, none",
        "arithmetic",
        {"input": [NAN, 2.0], "target": [0.0, NAN]},
        {"reduction": "none"},
        {"value": [NAN, NAN]},
        ignored=("gradient of input",),
    ),
    Check(
        "a NaN in a mean",
        "arithmetic",
        {"input": [NAN, 2.0], "target": [0.0, 1.0]},
        expected={"value": NAN},
        ignored=("gradient of input",),
    ),
    Check(
        "target of a narrower dtype",
        "torch: promotion; pytorch/pytorch#76646: its gradient fails",
        {**BASE, "target": Typed(BASE["target"], torch.bfloat16)},
        result="float32",
    ),
    Check(
        "an integer target",
        "torch: promotion to input's dtype",
        {"input": [[0.5, 2.0]], "target": [[1, -3]]},
        dtypes=("float32", "bfloat16"),
    ),
    Check(
        "a large batch, mean rounded once",
        "pytorch/pytorch#91597: accumulated in float32",
        lambda dtype, device: {
            "input": torch.linspace(-2, 2, 100_000, device=device).to(dtype).view(4, -1),
            "target": torch.zeros(4, 25_000, dtype=dtype, device=device),
        },
        dtypes=("bfloat16", "float16"),
        ulp=0.51,
        ignored=("gradient of input",),
    ),
    Check(
        "a large batch, sum",
        "definition",
        lambda dtype, device: {
            "input": torch.linspace(-2, 2, 100_000, device=device).to(dtype).view(4, -1),
            "target": torch.ones(4, 25_000, dtype=dtype, device=device),
        },
        {"reduction": "sum"},
        dtypes=("float64", "float32"),
    ),
)

ERRORS = (
    Check(
        "shapes that do not broadcast",
        "torch: RuntimeError",
        {**BASE, "target": [1.0, 2.0]},
        raises=(RuntimeError,),
        says=("input", "target", "[4, 3]", "[2]"),
    ),
    Check(
        "two integer tensors",
        "torch: RuntimeError or NotImplementedError",
        {"input": [1, 2], "target": [3, 5]},
        raises=(RuntimeError, NotImplementedError),
        says=("int64", "float32"),
    ),
)

WEIGHT = (
    *(
        Check(
            f"weight, reduction {reduction}",
            "torch.nn.functional",
            {**BASE, "weight": [[1.0, 0.0, 2.0], [0.5, 0.5, 1.0], [0.0, 3.0, 1.0], [0.25, 1.0, 0.0]]},
            {"reduction": reduction},
            dtypes=ALL_DTYPES,
        )
        for reduction in ("none", "mean", "sum")
    ),
    Check(
        "weight of the wrong shape",
        "torch: ValueError",
        {**BASE, "weight": [1.0, 2.0, 3.0]},
        raises=(ValueError,),
        says=("weight", "3", "[4, 3]"),
    ),
)
