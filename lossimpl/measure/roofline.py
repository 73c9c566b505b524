"""Is this time possible, and what share of the ceiling does it reach?

A case moves at least `traffic` bytes, and no implementation moves them faster than the machine can. A time below
traffic / ceiling therefore measured something else: work that was skipped, results that were reused, a clock that was
read before the work was done. It is refused, not ranked.
"""

from __future__ import annotations

MARGIN = 1.25  # a ceiling is itself measured: on a quiet machine repeated probes stay within 10 percent


def share(traffic: int, seconds: float, ceiling: float) -> float:
    """The rate at which `traffic` bytes were moved, as a fraction of `ceiling` (bytes per second).

    >>> share(traffic=1000, seconds=2.0, ceiling=1000.0)
    0.5
    """
    return traffic / seconds / ceiling


def impossible(traffic: int, seconds: float, ceiling: float) -> str:
    """Why `seconds` cannot be a time of a case that moves `traffic` bytes, or the empty string.

    >>> impossible(traffic=1000, seconds=2.0, ceiling=1000.0)
    ''
    >>> impossible(traffic=10**9, seconds=0.01, ceiling=1e10)
    '0.01 s for 1e+09 bytes is 10.0 times the ceiling of 1e+10 bytes/s (more than 1.25 times is refused)'
    """
    times = share(traffic, seconds, ceiling)
    if times <= MARGIN:
        return ""
    return (
        f"{seconds:.3g} s for {traffic:.3g} bytes is {times:.1f} times the ceiling of {ceiling:.3g} bytes/s "
        f"(more than {MARGIN} times is refused)"
    )
