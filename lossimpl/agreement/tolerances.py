"""The one table of tolerances, used by agreement, conformance, benchmarks and tests alike.

A relative error is taken against max(|oracle|, FLOOR * unit), where the unit is one term's share of the result: 1 for
a value, and incoming gradient / number of averaged terms for a gradient. The floor exists because p - 1 and
log(1 + tiny) lose digits to cancellation in everybody's kernels, and training does not notice; the conformance table
has its own cases (`tail=True`), without a floor, for those who should.
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


TOLERANCES = {
    # 2.2e-16 an operation. Long sums and exp() of arguments near -700 cost four digits at most.
    "float64": Tolerance(value_max=1e-11, value_mean=1e-12, grad_max=1e-11, grad_mean=1e-12),
    # 6e-8 an operation. exp(x) multiplies the relative error of x by |x|, so an x near -100 costs two digits; block
    # sums of 1e5 terms cost one more. A half-precision accumulator misses by 1e-3 and fails.
    "float32": Tolerance(value_max=1e-5, value_mean=1e-5, grad_max=1e-4, grad_mean=1e-5),
    # Half a unit in the last place (4.9e-4 relative) is the price of rounding once. Frameworks that store log-softmax
    # in half precision pay |log p| times that in the gradient: about 16 units for p = 1e-7. An average's gradient may
    # pass through 1/n, which is subnormal here, so single small elements lose more.
    "float16": Tolerance(value_max=4e-3, value_mean=4e-3, grad_max=2.5e-1, grad_mean=8e-3),
    # The same, with half a unit being 3.9e-3.
    "bfloat16": Tolerance(value_max=3e-2, value_mean=1.6e-2, grad_max=2.5e-1, grad_mean=6e-2),
}
