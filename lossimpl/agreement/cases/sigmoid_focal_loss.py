"""Hard cases of the sigmoid focal loss. Literal numbers come from mpmath at 50 digits or a closed form."""

from __future__ import annotations

import torch

from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check, every_loss
from lossimpl.agreement.check import Typed
from lossimpl.agreement.uses import Backward, scaled

BASE = {
    "inputs": [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 0.0, 1.0], [3.0, -1.0, 0.5]],
    "targets": [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0]],
}
SOFT = {"inputs": BASE["inputs"], "targets": [[0.25, 0.5, 1.0], [0.0, 0.75, 0.125], [0.5, 1.0, 0.0], [0.0, 0.9, 0.1]]}
PAIR = {"inputs": [-3.0, 2.0, -3.0, 2.0], "targets": [0.0, 0.0, 1.0, 1.0]}
NAN_SLOPE = "closed form; kornia/kornia#918, google-deepmind/optax#1267: NaN from 0^(gamma - 1)"


CHECKS = (
    *every_loss(BASE, ("inputs", "targets")),
    *(
        Check(
            f"gamma {gamma:g}, alpha {alpha:g}, reduction {reduction}",
            "definition",
            BASE,
            {"gamma": gamma, "alpha": alpha, "reduction": reduction},
            dtypes=("float64", "float32", "bfloat16"),
        )
        for gamma in (0.0, 0.5, 1.0, 2.0, 5.0)
        for alpha in (-1.0, 0.0, 0.25, 1.0)
        for reduction in ("none", "mean")
    ),
    *(
        Check(f"soft targets, gamma {gamma:g}", "definition", SOFT, {"gamma": gamma}, dtypes=ALL_DTYPES)
        for gamma in (0.0, 0.5, 2.0)
    ),
    Check(
        "gamma 0 is the alpha-weighted cross entropy",
        "closed form; facebookresearch/sam3#484",
        {"inputs": [0.0, 0.0], "targets": [1.0, 0.0]},
        {"gamma": 0.0},
        {"value": [0.25 * 0.69314718055994531, 0.75 * 0.69314718055994531], "gradient of inputs": [-0.125, 0.375]},
    ),
    Check(
        "alpha 0: positives vanish",
        "torchvision.ops.sigmoid_focal_loss",
        PAIR,
        {"alpha": 0.0, "gamma": 0.0},
        {"value": [0.048587351573741958, 2.1269280110429725, 0.0, 0.0]},
    ),
    Check(
        "alpha 1: negatives vanish",
        "torchvision.ops.sigmoid_focal_loss",
        PAIR,
        {"alpha": 1.0, "gamma": 0.0},
        {"value": [0.0, 0.0, 3.0485873515737420, 0.12692801104297249]},
    ),
    Check(
        "alpha -1: no weighting",
        "torchvision.ops.sigmoid_focal_loss",
        PAIR,
        {"alpha": -1.0, "gamma": 0.0},
        {"value": [0.048587351573741958, 2.1269280110429725, 3.0485873515737420, 0.12692801104297249]},
    ),
    *(
        Check(
            f"gamma {gamma:g} large logits: gradients are finite at x = {x:g}, t = {t:g}",
            NAN_SLOPE,
            {"inputs": [x], "targets": [t]},
            {"gamma": gamma, "alpha": -1.0},
            dtypes=("float64", "float32"),
        )
        for gamma in (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
        for x in (-100.0, -18.0, 18.0, 100.0)
        for t in (0.0, 1.0)
    ),
    *(
        Check(
            f"a wrong label near the largest number: gamma {gamma:g}, {largest:g}",
            "closed form: the logit, with a slope of 1; times 2.5 it overflows",
            {"inputs": [largest, -largest], "targets": [0.0, 1.0]},
            {"gamma": gamma, "alpha": -1.0},
            {"value": [largest, largest], "gradient of inputs": [2.5, -2.5]},
            use=Backward(scaled),
            dtypes=(dtype,),
        )
        for gamma in (0.5, 2.0)
        for largest, dtype in ((3e38, "float32"), (1.5e308, "float64"))
    ),
    *(
        Check(
            f"the tail keeps its digits: x = {x:g}, t = {t:g}, gamma {gamma:g}",
            "mpmath: q^gamma log1p(exp(-|x|))",
            {"inputs": [x], "targets": [t]},
            {"gamma": gamma, "alpha": -1.0},
            {"value": [value]},
            dtypes=("float64", "float32"),
            tail=True,
        )
        for x, t, gamma, value in (
            (20.0, 1.0, 1.0, 4.2483542421568229e-18),
            (-20.0, 0.0, 1.0, 4.2483542421568229e-18),
            (20.0, 1.0, 2.0, 8.7565107175752358e-27),
            (30.0, 1.0, 0.5, 2.8625185805491258e-20),
            (8.0, 1.0, 2.0, 3.7719703429312703e-11),
        )
    ),
    *(
        Check(
            f"infinite logit {x:g} with target {t:g}, gamma {gamma:g}",
            "closed form: the limit",
            {"inputs": [x], "targets": [t]},
            {"gamma": gamma, "alpha": -1.0},
            {"value": [value]},
            dtypes=("float64", "float32"),
            ignored=("gradient of inputs",),
        )
        for gamma in (0.0, 0.5, 2.0)
        for x, t, value in ((INF, 1.0, 0.0), (-INF, 0.0, 0.0), (INF, 0.0, INF), (-INF, 1.0, INF))
    ),
    Check(
        "NaN logit",
        "arithmetic",
        {"inputs": [NAN, 0.0], "targets": [1.0, 0.0]},
        {"reduction": "sum"},
        {"value": NAN},
        ignored=("gradient of inputs",),
    ),
    Check(
        "huge gamma",
        "closed form: 0.5^200 ln 2 underflows in float32",
        {"inputs": [0.0], "targets": [1.0]},
        {"gamma": 200.0, "alpha": -1.0},
        {"value": [0.0]},
        ignored=("gradient of inputs",),
    ),
    Check(
        "large logits, half",
        "open-mmlab/mmcv#1488",
        {"inputs": [40.0, -40.0, 40.0], "targets": [0.0, 1.0, 1.0]},
        dtypes=("float16", "bfloat16"),
    ),
    Check("integer alpha and gamma", "numbers", BASE, {"alpha": 1, "gamma": 2}),
    Check(
        "targets of a wider dtype",
        "torch: promotion",
        {**BASE, "targets": Typed(BASE["targets"], torch.float64)},
        result="float64",
    ),
    Check(
        "scalar logit",
        "definition",
        {"inputs": 0.0, "targets": 1.0},
        {"gamma": 2.0, "alpha": 0.25},
        {"value": 0.25 * 0.25 * 0.69314718055994531},
    ),
    Check(
        "targets of the wrong shape",
        "torch: ValueError",
        {**BASE, "targets": [1.0, 0.0, 1.0]},
        raises=(ValueError,),
        says=("target", "4, 3", "[3]"),
    ),
    Check("gamma below 0", "definition: gamma >= 0", BASE, {"gamma": -1.0}, raises=(ValueError,), says=("gamma", "-1")),
    Check("alpha above 1", "definition: alpha <= 1", BASE, {"alpha": 1.5}, raises=(ValueError,), says=("alpha", "1.5")),
    Check(
        "gamma that is not a number",
        "torch: TypeError",
        BASE,
        {"gamma": "two"},
        raises=(TypeError,),
        says=("gamma", "two"),
    ),
)
