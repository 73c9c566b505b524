"""Hard cases of the softmax focal loss. Literal numbers come from mpmath at 50 digits or a closed form."""

from __future__ import annotations

import math

import torch

from lossimpl.agreement.cases._classes import BASE, SPATIAL, channels_last, every_other_column, logits, sequence_first
from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check, every_loss
from lossimpl.agreement.check import Typed
from lossimpl.agreement.uses import Backward, scaled

ALPHA = [0.5, 2.0, 0.0]
LN2 = 0.69314718055994531

CHECKS = (
    *every_loss(BASE, ("input", "target")),
    *(
        Check(
            f"gamma {gamma:g}, alpha {alpha}, ignore_index {index}, reduction {reduction}",
            "definition",
            {**BASE, **({"alpha": ALPHA} if alpha == "per class" else {})},
            {
                "gamma": gamma,
                "ignore_index": index,
                "reduction": reduction,
                **({"alpha": 0.25} if alpha == "0.25" else {}),
            },
            dtypes=("float64", "float32", "bfloat16"),
        )
        for gamma in (0.0, 0.5, 2.0)
        for alpha in ("none", "0.25", "per class")
        for index in (-100, 1)
        for reduction in ("none", "mean", "sum")
    ),
    Check(
        "gamma 0 is cross entropy",
        "closed form",
        {"input": [[-INF, 0.0, 1.0]], "target": [1]},
        {"gamma": 0.0},
        {"value": 1.3132616875182228, "gradient of input": [[0.0, -0.73105857863000488, 0.73105857863000488]]},
    ),
    *(
        Check(
            f"every target ignored, {reduction}",
            "as cross entropy: pytorch/pytorch#75181, pytorch/pytorch#116349",
            {**BASE, "target": [-100] * 4},
            {"reduction": reduction},
            {"value": value, "gradient of input": [[0.0] * 3] * 4},
            dtypes=ALL_DTYPES,
        )
        for reduction, value in (("mean", NAN), ("sum", 0.0), ("none", [0.0] * 4))
    ),
    Check(
        "an ignored row of NaN does not count",
        "definition: an ignored row adds nothing",
        {"input": [[NAN, INF], [0.0, 0.0]], "target": [-100, 1]},
        {"gamma": 1.0},
        {"value": LN2 / 2, "gradient of input": [[0.0, 0.0], [0.25 + LN2 / 4, -0.25 - LN2 / 4]]},
    ),
    *(
        Check(
            f"a saturated row: finite gradient, gamma {gamma:g}, lead {lead:g}",
            "google-deepmind/optax#1346: NaN for 1 - p = 0",
            {"input": [[lead, 0.0, -1.0]], "target": [0]},
            {"gamma": gamma},
            dtypes=("float64", "float32"),
        )
        for gamma in (0.0, 0.25, 0.5, 1.0, 2.0)
        for lead in (-1e4, -100.0, 100.0, 1e4)
    ),
    Check(
        "a saturated row: the other logit is -inf",
        "closed form: 1 - p = 0",
        {"input": [[0.0, -INF]], "target": [0]},
        {"gamma": 0.5},
        {"value": 0.0, "gradient of input": [[0.0, 0.0]]},
    ),
    *(
        Check(
            f"the tail keeps its digits: lead {lead:g}, gamma {gamma:g}",
            "mpmath: q^gamma log1p(exp(-lead))",
            {"input": [[lead, 0.0]], "target": [0]},
            {"gamma": gamma},
            {"value": value},
            dtypes=("float64", "float32"),
            tail=True,
        )
        for lead, gamma, value in (
            (20.0, 1.0, 4.2483542421568229e-18),
            (20.0, 2.0, 8.7565107175752358e-27),
            (30.0, 0.5, 2.8625185805491258e-20),
        )
    ),
    *(
        Check(
            f"two equal logits of {value:g}",
            "closed form: ln(2) / 4",
            {"input": [[value, value]], "target": [0]},
            expected={"value": LN2 / 4, "gradient of input": [[-0.125 - LN2 / 4, 0.125 + LN2 / 4]]},
            dtypes=("float64", "float32"),
        )
        for value in (1.0, 1e4, 1e8, -1e30, 3e38)
    ),
    *(
        Check(
            f"a hopeless row near the largest number: gamma {gamma:g}, {largest:g}",
            "closed form: the largest logit, with slopes of 1; times 2.5 it overflows",
            {"input": [[-104.0, largest, 0.5]], "target": [2]},
            {"gamma": gamma, "reduction": "sum"},
            {"value": largest, "gradient of input": [[0.0, 2.5, -2.5]]},
            use=Backward(scaled),
            dtypes=(dtype,),
        )
        for gamma in (0.5, 2.0)
        for largest, dtype in ((3e38, "float32"), (1.5e308, "float64"))
    ),
    *(
        Check(
            f"{name} gives NaN",
            "closed form: inf - inf",
            {"input": [row], "target": [1]},
            expected={"value": NAN},
            ignored=("gradient of input",),
        )
        for name, row in (
            ("a +inf logit", [INF, 0.0, 1.0]),
            ("a row of -inf", [-INF, -INF, -INF]),
            ("a NaN logit", [NAN, 0.0, 1.0]),
        )
    ),
    Check(
        "the target itself is -inf",
        "closed form: -log 0",
        {"input": [[-INF, 0.0, 1.0]], "target": [0]},
        expected={"value": INF, "gradient of input": [[-1.0, 0.26894142136999512, 0.73105857863000488]]},
    ),
    Check(
        "the mean divides by rows, not by alpha",
        "torchvision's convention of alpha as a factor",
        {"input": [[0.0, 0.0], [0.0, 0.0]], "target": [0, 1], "alpha": [3.0, 1.0]},
        {"gamma": 0.0},
        {"value": 2 * LN2},
    ),
    Check(
        "a single class",
        "closed form",
        {"input": [[3.0], [-5.0]], "target": [0, 0]},
        expected={"value": 0.0, "gradient of input": [[0.0], [0.0]]},
    ),
    Check(
        "one row without a batch dimension",
        "input (C)",
        {"input": [0.0, 0.0], "target": 1},
        {"gamma": 0.0},
        {"value": LN2, "gradient of input": [0.5, -0.5]},
    ),
    Check("uint8 targets", "as cross entropy", {**BASE, "target": Typed([2, 0, 1, 1], torch.uint8)}),
    Check(
        "uint8 targets among more than 256 classes",
        "as cross entropy",
        {"input": [[0.0] * 300] * 2, "target": Typed([191, 255], torch.uint8)},
        {"gamma": 0.0, "ignore_index": -1},
        {"value": math.log(300)},
        dtypes=("float64", "float32"),
    ),
    *(
        Check(
            f"spatial targets, reduction {reduction}",
            "as cross entropy",
            SPATIAL,
            {"reduction": reduction},
            dtypes=("float32", "bfloat16"),
        )
        for reduction in ("none", "mean", "sum")
    ),
    Check("sequence-first logits", "NVIDIA/TransformerEngine#2734", sequence_first),
    Check("every other column", "unslothai/unsloth#10713", every_other_column),
    Check("channels-last logits", "pytorch/pytorch#67167", channels_last),
    *(
        Check(f"{rows} x {classes}", "Dao-AILab/quack, tests/test_cross_entropy.py", logits(rows, classes))
        for rows, classes in ((1, 1), (77, 2), (77, 668), (289, 192), (3, 50257), (2, 262144))
    ),
    *(
        Check(
            f"target {label} of 3 classes",
            "torch: IndexError",
            {**BASE, "target": [2, 0, label, 1]},
            raises=(IndexError,),
            says=("target", str(label)),
        )
        for label in (3, -1, 1000)
    ),
    Check(
        "probability targets",
        "class indices only",
        {"input": [[0.5, 1.0]], "target": [[0.5, 0.5]]},
        raises=(RuntimeError, ValueError),
        says=("target",),
    ),
    Check(
        "int32 targets",
        "as cross entropy: RuntimeError",
        {**BASE, "target": Typed([2, 0, 1, 1], torch.int32)},
        raises=(RuntimeError,),
        says=("target", "int32"),
    ),
    Check(
        "fewer targets than rows",
        "torch: ValueError",
        {**BASE, "target": [2, 0]},
        raises=(ValueError,),
        says=("batch", "4", "2"),
    ),
    Check(
        "alpha of the wrong length",
        "torch: RuntimeError",
        {**BASE, "alpha": [1.0, 1.0]},
        raises=(RuntimeError,),
        says=("alpha", "3", "2"),
    ),
    Check(
        "gamma below 0", "definition: gamma >= 0", BASE, {"gamma": -0.5}, raises=(ValueError,), says=("gamma", "-0.5")
    ),
)
