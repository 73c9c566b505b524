"""Hard cases of the triplet margin loss."""

from __future__ import annotations

import torch

from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check, every_loss
from lossimpl.agreement.check import Typed
from lossimpl.agreement.uses import Backward, scaled

BASE = {
    "anchor": [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 0.0, 1.0], [3.0, -1.0, 0.5]],
    "positive": [[0.25, 1.0, -2.0], [1.5, -0.25, -1.25], [0.0, 4.0, 1.5], [-3.0, -0.5, 0.0]],
    "negative": [[1.0, -0.5, 2.5], [3.5, 2.0, -3.0], [-2.5, 1.0, 0.25], [2.0, -2.0, -0.5]],
}
ONE = {"anchor": [[1.0]], "positive": [[0.0]], "negative": [[3.0]]}
SAME = {"anchor": [[1.0, 2.0]], "positive": [[1.0, 2.0]], "negative": [[1.0, 2.0]]}
GRADIENTS = tuple(f"gradient of {name}" for name in BASE)

CHECKS = (
    *every_loss(BASE, ("anchor", "positive", "negative")),
    *(
        Check(
            f"p {p:g}, swap {swap}, reduction {reduction}",
            "torch.nn.functional.triplet_margin_loss",
            BASE,
            {"p": p, "swap": swap, "reduction": reduction},
            dtypes=ALL_DTYPES,
        )
        for p in (1.0, 2.0, INF)
        for swap in (False, True)
        for reduction in ("none", "mean", "sum")
    ),
    *(
        Check(f"p {p:g}", "definition: (sum |d|^p)^(1/p)", BASE, {"p": p}, dtypes=("float64", "float32"))
        for p in (0.5, 1.5, 3.0, 7.0)
    ),
    *(
        Check(f"margin {margin:g}", "definition", BASE, {"margin": margin}, dtypes=("float32", "bfloat16"))
        for margin in (1e-3, 0.5, 20.0)
    ),
    *(Check(f"eps {eps:g}", "definition: eps is added to every difference", BASE, {"eps": eps}) for eps in (0.0, 0.25)),
    Check("integer margin and p", "numbers", BASE, {"margin": 2, "p": 1}),
    Check(
        "hinge exactly 0",
        "torch.clamp_min: the gradient passes at the bound",
        ONE,
        {"eps": 0.0},
        {
            "value": 0.0,
            "gradient of anchor": [[2.0]],
            "gradient of positive": [[-1.0]],
            "gradient of negative": [[-1.0]],
        },
        dtypes=ALL_DTYPES,
    ),
    Check(
        "one feature: the anchor's two slopes cancel",
        "closed form: d|a - p| and -d|a - n| are 1 and -1 where the anchor is above both",
        {"anchor": [[0.3]], "positive": [[-1.7]], "negative": [[-1.1]]},
        {"eps": 0.0},
        {
            "value": 1.6,
            "gradient of anchor": [[0.0]],
            "gradient of positive": [[-1.0]],
            "gradient of negative": [[1.0]],
        },
        dtypes=("float64", "float32"),
    ),
    Check(
        "squares beyond float64's range",
        "closed form: the distances are 1e200 sqrt(2) and 1e200",
        {"anchor": [[1e200, 0.0]], "positive": [[0.0, 1e200]], "negative": [[0.0, 0.0]]},
        {"eps": 0.0},
        {
            "value": (2**0.5 - 1) * 1e200,
            "gradient of anchor": [[0.5**0.5 - 1, -(0.5**0.5)]],
            "gradient of positive": [[-(0.5**0.5), 0.5**0.5]],
            "gradient of negative": [[1.0, 0.0]],
        },
        dtypes=("float64",),
    ),
    Check(
        "beyond the hinge",
        "closed form",
        {**ONE, "negative": [[9.0]]},
        {"eps": 0.0},
        {"value": 0.0, **{name: [[0.0]] for name in GRADIENTS}},
    ),
    *(
        Check(
            f"three equal points, swap {swap}, p {p:g}",
            "KevinMusgrave/pytorch-metric-learning#107: NaN; closed form: margin",
            SAME,
            {"eps": 0.0, "swap": swap, "p": p},
            {"value": 1.0, **{name: [[0.0, 0.0]] for name in GRADIENTS}},
            dtypes=("float64", "float32"),
        )
        for swap in (False, True)
        for p in (1.0, 2.0, INF)
    ),
    Check("three equal points with the default eps", "closed form: margin", SAME, expected={"value": 1.0}),
    Check(
        "anchor equal to its positive",
        "tensorflow/tensorflow#30199; closed form",
        {**SAME, "negative": [[1.0, 3.0]]},
        {"eps": 0.0, "margin": 2.0},
        {
            "value": 1.0,
            "gradient of positive": [[0.0, 0.0]],
            "gradient of negative": [[0.0, -1.0]],
            "gradient of anchor": [[0.0, 1.0]],
        },
    ),
    Check(
        "swap takes the nearer negative",
        "closed form: d(p, n) = 1 < d(a, n) = 3",
        {"anchor": [[0.0]], "positive": [[2.0]], "negative": [[3.0]]},
        {"eps": 0.0, "swap": True, "margin": 1.0},
        {
            "value": 2.0,
            "gradient of anchor": [[-1.0]],
            "gradient of positive": [[2.0]],
            "gradient of negative": [[-1.0]],
        },
    ),
    Check(
        "float16 distances whose squares overflow",
        "closed form: 500 - 100 + 1; squares exceed float16",
        {"anchor": [[300.0, 400.0]], "positive": [[0.0, 0.0]], "negative": [[300.0, 300.0]]},
        {"eps": 0.0},
        {"value": 401.0},
        dtypes=("float16",),
    ),
    Check(
        "huge coordinates",
        "closed form: 3e18 + 1 - 4e18 < 0; squares fit float32",
        {"anchor": [[3e18, 0.0]], "positive": [[0.0, 0.0]], "negative": [[-1e18, 0.0]]},
        {"eps": 0.0},
        {"value": 0.0},
        ignored=GRADIENTS,
    ),
    *(
        Check(
            f"a distance near the largest number: p = {p:g}, swap {swap}, {largest:g}",
            "closed form: the distance, with unit vectors as slopes; times 2.5 it overflows",
            {"anchor": [[1e4, 0.0, 1e4]], "positive": [[0.0, 0.0, largest]], "negative": [[0.0, 0.0, 0.0]]},
            {"p": p, "swap": swap, "eps": 0.0, "reduction": "sum"},
            {
                "value": largest,
                "gradient of anchor": [[-2.5 * share, 0.0, -2.5 * (1 + share)]],
                "gradient of positive": [[0.0, 0.0, 2.5]],
                "gradient of negative": [[2.5 * share, 0.0, 2.5 * share]],
            },
            use=Backward(scaled),
            dtypes=(dtype,),
        )
        for p, share in ((2.0, 2**-0.5), (3.0, 2 ** (-2 / 3)))
        for swap in (False, True)
        for largest, dtype in ((3e38, "float32"), (1.5e308, "float64"))
    ),
    Check(
        "an infinite coordinate of the negative",
        "closed form: max(-inf, 0)",
        {"anchor": [[0.0]], "positive": [[1.0]], "negative": [[INF]]},
        expected={"value": 0.0},
        ignored=GRADIENTS,
    ),
    Check(
        "an infinite coordinate of the positive",
        "closed form",
        {"anchor": [[0.0]], "positive": [[INF]], "negative": [[1.0]]},
        expected={"value": INF},
        ignored=GRADIENTS,
    ),
    Check(
        "a NaN coordinate",
        "arithmetic",
        {"anchor": [[NAN, 0.0]], "positive": [[1.0, 0.0]], "negative": [[2.0, 0.0]]},
        expected={"value": NAN},
        ignored=GRADIENTS,
    ),
    Check(
        "one triplet without a batch dimension",
        "torch: shape (D)",
        {"anchor": [1.0, 0.0], "positive": [0.0, 0.0], "negative": [0.0, 3.0]},
        {"reduction": "none"},
    ),
    Check(
        "three dimensions",
        "torch: shape (..., D)",
        {name: [values[:2], values[2:]] for name, values in BASE.items()},
        {"reduction": "none"},
    ),
    Check("one positive for every anchor", "torch: broadcasting", {**BASE, "positive": [[0.25, 1.0, -2.0]]}),
    Check(
        "target rows of a wider dtype",
        "torch: promotion",
        {**BASE, "positive": Typed(BASE["positive"], torch.float64)},
        result="float64",
    ),
    Check(
        "wide rows",
        "definition: rows longer than a vector",
        lambda dtype, device: dict(
            zip(
                BASE,
                (torch.randn(3, 5, 1000, generator=torch.Generator().manual_seed(2)).to(device, dtype)),
                strict=True,
            )
        ),
        dtypes=("float32", "bfloat16"),
    ),
    *(
        Check(
            f"margin {margin}",
            "torch.nn.functional.triplet_margin_loss: ValueError for margin <= 0",
            BASE,
            {"margin": margin},
            raises=(ValueError,),
            says=("margin", str(margin), "0"),
        )
        for margin in (0, 0.0, -1.0, -INF)
    ),
    Check(
        "margin nan",
        "torch: only margin <= 0 is refused; arithmetic",
        BASE,
        {"margin": NAN},
        {"value": NAN},
        ignored=GRADIENTS,
    ),
    Check("margin inf", "arithmetic", BASE, {"margin": INF}, {"value": INF}),
    Check("p nan", "torch: no p is refused; arithmetic", BASE, {"p": NAN}, {"value": NAN}, ignored=GRADIENTS),
    Check("eps nan", "arithmetic", BASE, {"eps": NAN}, {"value": NAN}, ignored=GRADIENTS),
    *(
        Check(f"p {p:g}", "torch.linalg.vector_norm: negative orders", BASE, {"p": p, "swap": swap, "eps": eps})
        for p, swap, eps in ((-INF, False, 1e-6), (-1.0, True, 0.125), (-2.5, False, 0.125))
    ),
    *(
        Check(
            f"p {p:g}: no power leaves the range",
            "mpmath: (sum |d|^p)^(1/p); torch gives inf and NaN",
            BASE,
            {"p": p, "eps": 0.0},
            dtypes=("float64", "float32"),
        )
        for p in (40.0, 200.0)
    ),
    *(
        Check(
            f"coordinates of {size:g}",
            "closed form: 5 size - 3 size; torch squares beyond the range",
            {
                "anchor": [[3 * size, 4 * size]],
                "positive": [[0.0, 0.0]],
                "negative": [[3 * size, 1 * size]],
            },
            {"eps": 0.0, "margin": size},
            {"value": 3 * size},
            dtypes=dtypes,
        )
        for size, dtypes in (
            (1e30, ("float64", "float32", "bfloat16")),
            (1e-30, ("float64", "float32")),
        )
    ),
    Check(
        "different numbers of dimensions",
        "torch: RuntimeError",
        {**BASE, "positive": [1.0, 2.0, 3.0]},
        raises=(RuntimeError,),
        says=("positive", "2", "1"),
    ),
    Check(
        "vectors that do not broadcast",
        "torch: RuntimeError",
        {**BASE, "positive": [[1.0, 2.0, 3.0]] * 3},
        raises=(RuntimeError,),
        says=("positive", "4", "3"),
    ),
)
