"""Hard cases of the log-cosh loss. Literal numbers come from mpmath at 50 digits: log(cosh(d)) and tanh(d)."""

from __future__ import annotations

from lossimpl.agreement.cases._common import ALL_DTYPES, INF, NAN, Check
from lossimpl.agreement.cases._regression import regression

MPMATH = "mpmath: log(cosh(d)), tanh(d)"

CHECKS = (
    *regression(),
    *(
        Check(
            f"d = {d:g}",
            MPMATH,
            {"input": [d], "target": [0.0]},
            expected={"value": value, "gradient of input": [slope]},
            dtypes=("float64", "float32"),
            tail=True,
        )
        for d, value, slope in (
            (2.0**-20, 4.5474735088639519e-13, 9.5367431640596091e-07),
            (2.0**-10, 4.7683708241191913e-07, 9.7656218955926022e-04),
            (0.5, 0.12011450695827752, 0.46211715726000975),
            (-0.5, 0.12011450695827752, -0.46211715726000975),
            (1.0, 0.43378083048302719, 0.76159415595576489),
            (2.0, 1.3250027473578645, 0.96402758007581688),
            (-10.0, 9.3068528215012083, -0.99999999587769276),
            (88.0, 87.306852819440055, 1.0),
            (1000.0, 999.30685281944005, 1.0),
        )
    ),
    Check(
        "large |d|: |d| - ln 2",
        "closed form; cosh overflows",
        {"input": [1e30, -1e30], "target": [0.0, 0.0]},
        {"reduction": "none"},
        {"value": [1e30, 1e30], "gradient of input": [1.0, -1.0]},
        dtypes=("float64", "float32", "bfloat16"),
    ),
    Check(
        "float16 beyond exp's range",
        "closed form: 100 - ln 2",
        {"input": [100.0], "target": [0.0]},
        expected={"value": 99.306852819440055, "gradient of input": [1.0]},
        dtypes=ALL_DTYPES,
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
        "a difference whose square is subnormal",
        "closed form: d^2 / 2",
        {"input": [1e-18], "target": [0.0]},
        expected={"value": 5e-37, "gradient of input": [1e-18]},
        tail=True,
    ),
)
