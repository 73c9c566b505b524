"""Hard cases of cross entropy; numbers, options and errors are in the files of those names."""

from __future__ import annotations

import math

from lossimpl.agreement import uses
from lossimpl.agreement.cases._classes import (
    BASE,
    SOFT,
    constant,
)
from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check, every_loss
from lossimpl.agreement.cases._cross_entropy_errors import ERRORS
from lossimpl.agreement.cases._cross_entropy_numbers import NUMBERS
from lossimpl.agreement.cases._cross_entropy_options import ARGUMENTS

IGNORING = (
    Check(
        "every target ignored, mean",
        "pytorch/pytorch#75181: NaN by contract, gradient 0 (ROCm/aiter#5165)",
        {**BASE, "target": [-100, -100, -100, -100]},
        expected={"value": NAN, "gradient of input": [[0.0] * 3] * 4},
        dtypes=ALL_DTYPES,
    ),
    Check(
        "every target ignored, sum",
        "definition: an empty sum",
        {**BASE, "target": [-100] * 4},
        {"reduction": "sum"},
        {"value": 0.0, "gradient of input": [[0.0] * 3] * 4},
    ),
    Check(
        "every target ignored, none",
        "definition",
        {**BASE, "target": [-100] * 4},
        {"reduction": "none"},
        {"value": [0.0] * 4, "gradient of input": [[0.0] * 3] * 4},
    ),
    Check(
        "every target ignored, smoothing and weight",
        "pytorch/pytorch#72056",
        {**BASE, "target": [-100] * 4, "weight": [1.0, 2.0, 3.0]},
        {"label_smoothing": 0.1},
        {"value": NAN, "gradient of input": [[0.0] * 3] * 4},
    ),
    *(
        Check(
            f"ignore_index {index} leaves its rows out, reduction {reduction}",
            "torch.nn.functional.cross_entropy",
            {**BASE, "target": [2, 0, index, 1]},
            {"ignore_index": index, "reduction": reduction},
            dtypes=("float32", "bfloat16"),
        )
        for index in (0, -1, 2, -100, 7, -(2**40), 2**40)
        for reduction in ("mean", "none")
    ),
    Check(
        "an ignored row of NaN does not count",
        "definition: an ignored row adds nothing",
        {"input": [[NAN, INF, -INF], [0.0, 0.0, 0.0]], "target": [-100, 1]},
        expected={"value": 1.0986122886681098, "gradient of input": [[0.0] * 3, [1 / 3, -2 / 3, 1 / 3]]},
    ),
    Check(
        "an ignored row with smoothing does not count",
        "definition: an ignored row adds nothing",
        {"input": [[5.0, -5.0, 1.0], [0.0, 0.0, 0.0]], "target": [-100, 1]},
        {"label_smoothing": 0.25},
        {"value": 1.0986122886681098, "gradient of input": [[0.0] * 3, [0.25, -0.5, 0.25]]},
    ),
    Check(
        "weights sum to zero over the rows that count",
        "torch.nn.functional.cross_entropy: 0/0",
        {**BASE, "target": [2, 2, 2, 2], "weight": [1.0, 1.0, 0.0]},
        expected={"value": NAN},
        ignored=("gradient of input",),
    ),
)

CHECKS = (
    *every_loss(BASE, ("input", "target")),
    *IGNORING,
    *NUMBERS,
    *ARGUMENTS,
    *ERRORS,
    Check(
        "second derivative with probability targets",
        "closed form",
        SOFT,
        use=uses.second_derivative,
        dtypes=("float64",),
    ),
    Check(
        "ln V on more than 2^31 elements",
        "closed form; pytorch/pytorch#85005, pytorch/pytorch#190139",
        constant(2**16 + 1, 2**15, 0.0),
        {"reduction": "none"},
        {"value": [15 * math.log(2)] * (2**16 + 1)},
        use=uses.call,
        dtypes=("bfloat16",),
        slow=True,
        elements=(2**16 + 1) * 2**15,
    ),
)
