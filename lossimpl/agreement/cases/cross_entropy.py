"""Hard cases of cross entropy: index targets first, then probabilities, options, sizes and errors.

Literal numbers come from mpmath at 50 digits (`mp.log(mp.exp(...) + ...)`) unless the source column says otherwise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossimpl.agreement import uses
from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check, every_loss
from lossimpl.agreement.check import Builder, Typed

LN2 = 0.69314718055994531
BASE = {"input": [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 0.0, 1.0], [3.0, -1.0, 0.5]], "target": [2, 0, 1, 1]}
SOFT = {
    "input": [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]],
    "target": [[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]],
}
WEIGHT = [0.5, 2.0, 0.0]
SPATIAL = {
    "input": [[[0.5, -1.0], [2.0, 0.25], [1.0, -3.0]], [[1.5, 0.0], [-0.5, 0.75], [0.0, 0.0]]],
    "target": [[2, 0], [1, -100]],
}


def logits(rows: int, classes: int, shift: float = 0.0) -> Builder:
    """Normal logits and uniform labels, the first and the last class among them."""

    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(rows * 1_000_003 + classes)
        input = torch.randn(rows, classes, generator=generator) + shift
        target = torch.randint(0, classes, (rows,), generator=generator)
        target[0], target[-1] = classes - 1, 0
        return {"input": input.to(device, dtype), "target": target.to(device)}

    return build


def leading(margin: float) -> Builder:
    """Rows whose target logit is the row's maximum plus `margin`."""

    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        made = logits(8, 128)(dtype, device)
        rows = torch.arange(8, device=device)
        made["input"][rows, made["target"]] = made["input"].max(dim=1).values + margin
        return made

    return build


def constant(rows: int, classes: int, value: float) -> Builder:
    """Equal logits: every row loses log(classes)."""

    def build(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
        target = torch.arange(rows, device=device) % classes
        return {"input": torch.full((rows, classes), value, device=device, dtype=dtype), "target": target}

    return build


def sequence_first(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
    """Logits (s, b, v) seen as (b, v, s) without a copy, as sequence models pass them."""
    generator = torch.Generator().manual_seed(3)
    made = torch.randn(5, 2, 7, generator=generator).to(device, dtype)
    target = torch.randint(0, 7, (5, 2), generator=generator).to(device)
    return {"input": made.permute(1, 2, 0), "target": target.t()}


def every_other_column(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
    """Columns [:, ::2] of wider logits."""
    made = logits(5, 14)(dtype, device)
    return {"input": made["input"][:, ::2], "target": made["target"] % 7}


def channels_last(dtype: torch.dtype, device: str) -> dict[str, Tensor]:
    """Image logits in channels-last memory."""
    generator = torch.Generator().manual_seed(4)
    made = torch.randn(2, 5, 3, 4, generator=generator).to(device, dtype)
    target = torch.randint(0, 5, (2, 3, 4), generator=generator).to(device)
    return {"input": made.contiguous(memory_format=torch.channels_last), "target": target}


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
        "sum of nothing",
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
            f"ignore_index {index} leaves its rows out of loss and mean",
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
        {"value": 1.0986122886681098, "gradient of input": [[0.0] * 3, [1 / 3, -2 / 3, 1 / 3]]},
    ),
    Check(
        "weights sum to zero over the rows that count",
        "torch.nn.functional.cross_entropy: 0/0",
        {**BASE, "target": [2, 2, 2, 2], "weight": [1.0, 1.0, 0.0]},
        expected={"value": NAN},
        ignored=("gradient of input",),
    ),
)

INFINITE = (
    Check(
        "a class of -inf beside the target",
        "closed form: log(1 + 1/e) + 1; losses.md d4",
        {"input": [[-INF, 0.0, 1.0]], "target": [1]},
        expected={"value": 1.3132616875182228, "gradient of input": [[0.0, -0.73105857863000488, 0.73105857863000488]]},
        dtypes=ALL_DTYPES,
    ),
    Check(
        "the target itself is -inf",
        "closed form: -log 0; losses.md d5",
        {"input": [[-INF, 0.0, 1.0]], "target": [0]},
        expected={"value": INF, "gradient of input": [[-1.0, 0.26894142136999512, 0.73105857863000488]]},
        dtypes=ALL_DTYPES,
    ),
    *(
        Check(
            f"{name} gives NaN",
            "closed form: inf - inf; pytorch/pytorch#161150",
            {"input": [row], "target": [target]},
            expected={"value": NAN},
            ignored=("gradient of input",),
            dtypes=("float32", "bfloat16"),
        )
        for name, row, target in (
            ("a +inf logit at the target", [INF, 0.0, 1.0], 0),
            ("a +inf logit beside the target", [INF, 0.0, 1.0], 1),
            ("a row of -inf", [-INF, -INF, -INF], 1),
            ("a NaN logit at the target", [NAN, 0.0, 1.0], 0),
            ("a NaN logit beside the target", [NAN, 0.0, 1.0], 2),
        )
    ),
    Check(
        "-inf beside the target, with smoothing",
        "closed form: smoothing asks for log 0; losses.md d7",
        {"input": [[-INF, 0.0, 1.0]], "target": [1]},
        {"label_smoothing": 0.1},
        {"value": INF},
        ignored=("gradient of input",),
    ),
    Check(
        "a NaN row leaves the others alone",
        "definition, reduction none",
        {"input": [[NAN, 0.0], [0.0, 0.0]], "target": [0, 1]},
        {"reduction": "none"},
        {"value": [NAN, LN2]},
        ignored=("gradient of input",),
    ),
    Check(
        "leading -inf classes in a long row",
        "Dao-AILab/flash-attention#1930: NaN from an online softmax",
        {"input": [[-INF] * 1500 + [0.0, 0.0]], "target": [1500]},
        expected={"value": LN2},
    ),
)

OFFSETS = (
    *(
        Check(
            f"two equal logits of {value:g}",
            "closed form: ln 2; losses.md d8",
            {"input": [[value, value]], "target": [0]},
            expected={"value": LN2, "gradient of input": [[-0.5, 0.5]]},
            dtypes=dtypes,
        )
        for value, dtypes in (
            (1.0, ALL_DTYPES),
            (1e4, ALL_DTYPES),
            (1e6, ("float64", "float32", "bfloat16")),
            (1e8, ("float64", "float32")),
            (-1e30, ("float64", "float32")),
            (1e30, ("float64", "float32")),
            (3e38, ("float64", "float32")),
        )
    ),
    *(
        Check(
            f"logits shifted by {shift:g}",
            "pytorch/pytorch#11752, ml-explore/mlx#4188; oracle on shifted input",
            logits(6, 33, shift),
            dtypes=("float64", "float32"),
        )
        for shift in (100.0, 1e4, -1e6)
    ),
    Check(
        "logits of opposite sign at the end of the range",
        "closed form: the difference, 2e38",
        {"input": [[1e38, -1e38]], "target": [1]},
        expected={"value": 2e38, "gradient of input": [[1.0, -1.0]]},
    ),
)

TAILS = (
    *(
        Check(
            f"a lead of {lead:g}: the small loss keeps its digits",
            "mpmath: log(1 + exp(-lead))",
            {"input": [[lead, 0.0]], "target": [0]},
            expected={"value": value, "gradient of input": [[-value, value]]},
            dtypes=("float64", "float32"),
            tail=True,
        )
        for lead, value in (
            (20.0, 2.0611536203143807e-09),
            (40.0, 4.2483542552915890e-18),
            (80.0, 1.8048513878454152e-35),
        )
    ),
    Check(
        "a lead of 20 under smoothing",
        "oracle",
        {"input": [[20.0, 0.0, 1.0]], "target": [0]},
        {"label_smoothing": 0.1},
        dtypes=("float64", "float32"),
        tail=True,
    ),
    Check(
        "target logit is the row's maximum plus 10",
        "linkedin/Liger-Kernel tests; losses.md d10",
        leading(10.0),
        dtypes=ALL_DTYPES,
        tail=True,
    ),
    Check(
        "the result is rounded to the dtype once",
        "pytorch/pytorch: eager 8.75 for 8.78395; losses.md d18",
        logits(64, 4096),
        dtypes=("bfloat16", "float16"),
        ulp=0.501,
        ignored=("gradient of input",),
    ),
    Check(
        "the gradient is rounded to the dtype once",
        "losses.md d18",
        logits(16, 512),
        {"reduction": "sum"},
        dtypes=("bfloat16", "float16"),
        ulp=0.51,
    ),
)

OPTIONS = (
    *(
        Check(
            f"weight, smoothing {smoothing}, ignore_index {index}, reduction {reduction}",
            "pytorch/pytorch#72056",
            {**BASE, "target": [2, 0, 1, index], "weight": WEIGHT},
            {"label_smoothing": smoothing, "ignore_index": index, "reduction": reduction},
            dtypes=("float64", "float32", "bfloat16"),
        )
        for smoothing in (0.0, 0.1, 1.0)
        for index in (-100, 1)
        for reduction in ("none", "mean", "sum")
    ),
    Check(
        "a single class",
        "closed form: log 1",
        {"input": [[3.0], [-5.0]], "target": [0, 0]},
        expected={"value": 0.0, "gradient of input": [[0.0], [0.0]]},
    ),
    Check(
        "one row without a batch",
        "torch.nn.functional.cross_entropy: input (C)",
        {"input": [0.0, 0.0], "target": 1},
        expected={"value": LN2, "gradient of input": [0.5, -0.5]},
    ),
    Check(
        "one row without a batch, ignored, none",
        "torch.nn.functional.cross_entropy: input (C)",
        {"input": [0.0, 0.0], "target": -100},
        {"reduction": "none"},
        {"value": 0.0, "gradient of input": [0.0, 0.0]},
    ),
    Check(
        "uint8 targets",
        "torch.nn.functional.cross_entropy: Long or Byte",
        {**BASE, "target": Typed([2, 0, 1, 1], torch.uint8)},
    ),
    *(
        Check(
            f"spatial targets, reduction {reduction}, smoothing {smoothing}",
            "torch.nn.functional.cross_entropy: (N, C, d1)",
            {**SPATIAL, "weight": [1.0, 2.0, 0.5]},
            {"reduction": reduction, "label_smoothing": smoothing},
            dtypes=("float32", "bfloat16"),
        )
        for reduction in ("none", "mean", "sum")
        for smoothing in (0.0, 0.2)
    ),
    Check("sequence-first logits", "losses.md d15", sequence_first, dtypes=("float32", "bfloat16")),
    Check("every other column", "losses.md d15", every_other_column, dtypes=("float32", "bfloat16")),
    Check("channels-last logits", "pytorch/pytorch#67167", channels_last, dtypes=("float32", "bfloat16")),
    Check("channels-last logits, none", "pytorch/pytorch#67167", channels_last, {"reduction": "none"}),
    Check(
        "float16 average over a long sequence stays finite",
        "pytorch/pytorch#85791; losses.md d17",
        logits(3000, 40),
        dtypes=("float16",),
    ),
    Check(
        "float16 loss beyond its range",
        "closed form: 1.3e5 rounds to inf",
        {"input": [[6.5e4, -6.5e4]], "target": [1]},
        expected={"value": INF},
        dtypes=("float16",),
        ignored=("gradient of input",),
    ),
)

SIZES = (
    *(
        Check(
            f"{rows} x {classes}",
            "losses.md d11: below, at and beyond vector, block and 16-bit boundaries",
            logits(rows, classes),
            dtypes=("float32",),
        )
        for classes in (1, 2, 3, 192, 668, 1128, 4096)
        for rows in (1, 77, 289)
    ),
    *(
        Check(
            f"3 x {classes}",
            "losses.md d11: the vocabularies of today's models",
            logits(3, classes),
            dtypes=("float32", "bfloat16"),
        )
        for classes in (32000, 50257, 65537, 128256, 262144)
    ),
)

PROBABILITIES = (
    *(
        Check(
            f"probability targets, smoothing {smoothing}, weight {weight}, {reduction}",
            "torch.nn.functional.cross_entropy",
            {**SOFT, **({"weight": [0.5, 2.0, 1.0]} if weight else {})},
            {"label_smoothing": smoothing, "reduction": reduction},
            dtypes=ALL_DTYPES,
        )
        for smoothing in (0.0, 0.3)
        for weight in (False, True)
        for reduction in ("none", "mean", "sum")
    ),
    Check(
        "probabilities that do not sum to one",
        "torch.nn.functional.cross_entropy: no check of the simplex",
        {"input": [[0.5, -1.0, 2.0]], "target": [[0.5, 2.0, -1.0]]},
        dtypes=("float64", "float32"),
    ),
    Check(
        "probabilities all zero",
        "closed form: an empty sum",
        {"input": [[0.5, -1.0, 2.0]], "target": [[0.0, 0.0, 0.0]]},
        expected={"value": 0.0, "gradient of input": [[0.0, 0.0, 0.0]]},
    ),
    Check(
        "probability 0 of a class of -inf adds 0",
        "closed form: 0 log 0 = 0; google-deepmind/optax#896",
        {"input": [[-INF, 0.0, 1.0]], "target": [[0.0, 1.0, 0.0]]},
        expected={"value": 1.3132616875182228, "gradient of input": [[0.0, -0.73105857863000488, 0.73105857863000488]]},
    ),
    Check(
        "probability above 0 of a class of -inf",
        "closed form: -t log 0",
        {"input": [[-INF, 0.0, 1.0]], "target": [[0.5, 0.5, 0.0]]},
        expected={"value": INF},
        ignored=("gradient of input",),
    ),
    Check(
        "NaN among the probabilities",
        "arithmetic",
        {"input": [[0.0, 1.0]], "target": [[NAN, 0.5]]},
        expected={"value": NAN},
        ignored=("gradient of input",),
    ),
    Check(
        "one-hot probabilities equal the index",
        "closed form",
        {"input": [[0.5, -1.0, 2.0]], "target": [[0.0, 0.0, 1.0]]},
        expected={"value": 0.24131129665715706},
    ),
    Check(
        "spatial probabilities",
        "torch.nn.functional.cross_entropy: (N, C, d1)",
        {**SPATIAL, "target": [[[0.5, 0.0], [0.25, 1.0], [0.25, 0.0]], [[0.0, 0.1], [1.0, 0.2], [0.0, 0.7]]]},
        {"reduction": "none"},
    ),
    Check(
        "probability targets of a wider dtype",
        "torch.nn.functional.cross_entropy: promotion",
        {"input": SOFT["input"], "target": Typed(SOFT["target"], torch.float64)},
        result="float64",
    ),
    Check("class V - 1 and class 0", "losses.md d12", {**BASE, "target": [2, 0, 2, 0]}),
    Check(
        "probability targets without rows",
        "mean of nothing",
        lambda dtype, device: {
            "input": torch.zeros(0, 3, dtype=dtype, device=device),
            "target": torch.zeros(0, 3, dtype=dtype, device=device),
        },
        expected={"value": NAN},
    ),
)

ERRORS = (
    Check(
        "ignore_index with probability targets",
        "torch: RuntimeError; losses.md d14",
        SOFT,
        {"ignore_index": 0},
        raises=(RuntimeError,),
        says=("ignore_index", "0", "float"),
    ),
    *(
        Check(
            f"target {label} of 3 classes, reduction {reduction}",
            "torch: IndexError; pytorch/pytorch#66872",
            {**BASE, "target": [2, 0, label, 1]},
            {"reduction": reduction},
            raises=(IndexError,),
            says=("target", str(label)),
        )
        for label in (3, -1, 1000, -101, 2**40)
        for reduction in ("mean", "none")
    ),
    Check(
        "a target beyond spatial logits",
        "torch: IndexError",
        {**SPATIAL, "target": [[2, 3], [1, 0]]},
        raises=(IndexError,),
        says=("target", "3"),
    ),
    Check(
        "ignore_index does not excuse another negative label",
        "losses.md d12",
        {**BASE, "target": [2, 0, -2, 1]},
        {"ignore_index": -1},
        raises=(IndexError,),
        says=("target", "-2"),
    ),
    *(
        Check(
            f"label_smoothing {value}",
            "torch: RuntimeError",
            BASE,
            {"label_smoothing": value},
            raises=(RuntimeError,),
            says=("label_smoothing", str(value), "0"),
        )
        for value in (-0.1, 1.5, 2.0)
    ),
    Check(
        "another number of targets than rows",
        "torch: ValueError",
        {**BASE, "target": [2, 0]},
        raises=(ValueError,),
        says=("batch", "4", "2"),
    ),
    Check(
        "int32 targets",
        "torch: RuntimeError",
        {**BASE, "target": Typed([2, 0, 1, 1], torch.int32)},
        raises=(RuntimeError,),
        says=("target", "int32"),
    ),
    Check(
        "weight of another length",
        "torch: RuntimeError",
        {**BASE, "weight": [1.0, 1.0]},
        raises=(RuntimeError,),
        says=("weight", "3", "2"),
    ),
    Check(
        "weight of two dimensions",
        "torch: RuntimeError",
        {**BASE, "weight": [[1.0, 1.0, 1.0]]},
        raises=(RuntimeError,),
        says=("weight", "3"),
    ),
    Check(
        "targets of input's shape but whole numbers",
        "torch: RuntimeError",
        {**BASE, "target": [[2, 0, 1]] * 4},
        raises=(RuntimeError,),
        says=("target",),
    ),
    Check(
        "probabilities for another number of classes",
        "torch: RuntimeError",
        {"input": SOFT["input"], "target": [[0.5, 0.5], [1.0, 0.0]]},
        raises=(RuntimeError, ValueError),
        says=("target",),
    ),
    Check(
        "spatial target of another size",
        "torch: ValueError or RuntimeError",
        {**SPATIAL, "target": [[2, 0, 1], [1, 0, 1]]},
        raises=(RuntimeError, ValueError),
        says=("target",),
    ),
    Check(
        "a scalar input",
        "torch: an error",
        {"input": 1.0, "target": 0},
        raises=(RuntimeError, ValueError, IndexError),
        says=("input",),
    ),
    Check(
        "logits of whole numbers",
        "torch: NotImplementedError or RuntimeError",
        {"input": [[1, 2], [3, 4]], "target": [0, 1]},
        raises=(NotImplementedError, RuntimeError),
        says=("input", "int64"),
    ),
)

CHECKS = (
    *every_loss(BASE, ("input", "target")),
    *IGNORING,
    *INFINITE,
    *OFFSETS,
    *TAILS,
    *OPTIONS,
    *SIZES,
    *PROBABILITIES,
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
        "closed form; pytorch/pytorch#85005, #190139",
        constant(2**16 + 1, 2**15, 0.0),
        {"reduction": "none"},
        {"value": [15 * math.log(2)] * (2**16 + 1)},
        use=uses.call,
        dtypes=("bfloat16",),
        slow=True,
    ),
)
