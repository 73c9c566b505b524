"""The one table of tolerances, used by agreement, conformance, benchmarks and tests alike.

A relative error is taken against max(|oracle|, FLOOR * unit), where the unit is one term's share of the result: 1 for
a value, and incoming gradient / number of averaged terms for a gradient. The floor exists because p - 1 and
log(1 + tiny) lose digits to cancellation in every kernel, and training does not notice. Cases of the conformance table
that ask for all digits (`tail=True`) have no floor.

`TOLERANCES` decides what may be ranked; `CONTRACT`, which the conformance table asks for, is tighter in half precision.
"""

from __future__ import annotations

from dataclasses import dataclass

FLOOR = 1e-2


@dataclass(frozen=True)
class Tolerance:
    """Largest accepted relative errors: of one element and on average, for the value and for the gradients."""

    value_max: float
    value_mean: float
    grad_max: float
    grad_mean: float


EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}  # IEEE 754: the distance of 1 from the next number

# What may be ranked. Half types: frameworks store log-softmax in half precision and pay |log p| * eps / 2 for it in the
# gradient, 8 eps for p = 1e-7 and as much again where two logits cancel; and a few roundings of the value.
TOLERANCES = {
    # 2.2e-16 an operation. Long sums and exp() of arguments near -700 cost four digits at most.
    "float64": Tolerance(value_max=1e-11, value_mean=1e-12, grad_max=1e-11, grad_mean=1e-12),
    # 6e-8 an operation. exp(x) multiplies the relative error of x by |x|, so an x near -100 costs two digits; block
    # sums of 1e5 terms cost one more. A half-precision accumulator misses by 1e-3 and fails.
    "float32": Tolerance(value_max=1e-5, value_mean=1e-5, grad_max=1e-4, grad_mean=1e-5),
    **{name: Tolerance(4 * eps, 2 * eps, 32 * eps, 8 * eps) for name, eps in EPS.items()},
}


def rounded_once(eps: float) -> Tolerance:
    """Computed within float32's tolerance, then rounded: eps / 2 more, the largest relative error of one rounding."""
    exact, half = TOLERANCES["float32"], eps / 2
    return Tolerance(*(half + one for one in (exact.value_max, exact.value_mean, exact.grad_max, exact.grad_mean)))


# What conforms: half types are computed in float32 and rounded once.
CONTRACT = TOLERANCES | {name: rounded_once(eps) for name, eps in EPS.items()}
