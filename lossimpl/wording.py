"""Numbers and results in words, for the terminal and the site alike: units always shown, three significant digits.

Pure, and light to import. A value that is missing (None, NaN) is shown as a dash.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from lossimpl.ranking import CONFIDENCE, proportion

TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
BINARY = ((1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"))
DECIMAL = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
NOTHING = "–"
INTERVAL = f"{100 * CONFIDENCE:.0f} % interval"


def known(value: Any) -> bool:
    """Whether a value is a number at all."""
    return isinstance(value, Real) and not isinstance(value, bool) and not math.isnan(value)


def digits(value: float) -> str:
    """Three significant digits, without an exponent where people would not write one.

    >>> [digits(one) for one in (12.345, 1234.5, 0.01234, 0, 1e-9, 2.5e9, math.inf)]
    ['12.3', '1234', '0.0123', '0', '1.0e-09', '2.5e+09', '∞']
    """
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if not 1e-4 <= abs(value) < 1e7:
        return f"{value:.1e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _scale(value: float, scales: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    return next((one for one in scales if abs(value) >= one[0]), scales[-1])


def seconds(value: Any) -> str:
    """
    >>> seconds(0.0123), seconds(4.5e-6), seconds(float("nan"))
    ('12.3 ms', '4.50 µs', '–')
    """
    if not known(value):
        return NOTHING
    factor, unit = _scale(value, TIMES)
    return f"{digits(value / factor)} {unit}"


def interval(value: Any, low: Any, high: Any) -> str:
    """The ends of a time's interval in the unit of its median.

    >>> interval(0.0123, 0.0121, 0.0126)
    '12.1 to 12.6 ms'
    """
    if not (known(value) and known(low) and known(high)):
        return "no interval"
    factor, unit = _scale(value, TIMES)
    return f"{digits(low / factor)} to {digits(high / factor)} {unit}"


def size(value: Any) -> str:
    """
    >>> size(3 * 2**20), size(12), size(None)
    ('3.00 MiB', '12 B', '–')
    """
    if not known(value):
        return NOTHING
    if abs(value) < 1024:
        return f"{value:.0f} B"
    factor, unit = _scale(value, BINARY)
    return f"{digits(value / factor)} {unit}"


def rate(value: Any, unit: str = "B/s") -> str:
    """
    >>> rate(18.25e9), rate(2.5e6, "elements/s")
    ('18.2 GB/s', '2.50 M elements/s')
    """
    if not known(value):
        return NOTHING
    if abs(value) < 1e3:
        return f"{digits(value)} {unit}"
    factor, prefix = _scale(value, DECIMAL)
    return f"{digits(value / factor)} {prefix}{'' if unit == 'B/s' else ' '}{unit}"


def count(value: Any) -> str:
    """
    >>> count(1010.4), count(None)
    ('1,010', '–')
    """
    return f"{value:,.0f}" if known(value) else NOTHING


def percent(value: Any) -> str:
    """A share.

    >>> percent(0.714), percent(0.0042)
    ('71 %', '0.42 %')
    """
    if not known(value):
        return NOTHING
    return f"{100 * value:.0f} %" if abs(value) >= 0.1 else f"{100 * value:.2g} %"


def confidence(value: Any) -> str:
    """A probability near one, rounded down so that none is called certain.

    >>> confidence(0.99999), confidence(0.9512)
    ('99.99 %', '95.12 %')
    """
    return f"{math.floor(1e4 * value) / 100:.2f} %" if known(value) else NOTHING


def times(value: Any) -> str:
    """A ratio.

    >>> times(3.456)
    '3.46×'
    """
    return f"{digits(value)}×" if known(value) else NOTHING


def times_interval(value: Any, low: Any, high: Any) -> str:
    """A ratio with its interval.

    >>> times_interval(3.456, 3.4, 3.512)
    '3.46× (3.40 to 3.51×)'
    """
    return f"{times(value)} ({digits(low)} to {times(high)})"


def change(ratio: Any) -> str:
    """A ratio of new to old as a change.

    >>> change(1.234), change(0.95), change(math.inf)
    ('+23.4 %', '-5.0 %', 'unknown')
    """
    return f"{100 * (ratio - 1):+.1f} %" if known(ratio) and math.isfinite(ratio) else "unknown"


def error(value: Any) -> str:
    """An error relative to the reference.

    >>> error(1.23e-7), error(None)
    ('1.2e-07', '–')
    """
    return f"{value:.1e}" if known(value) else NOTHING


def ulp(value: Any) -> str:
    """An error in units in the last place.

    >>> ulp(0.512), ulp(math.inf)
    ('0.512 ULP', '∞ ULP')
    """
    return f"{digits(value)} ULP" if known(value) else NOTHING


def shape(text: Any) -> str:
    """
    >>> shape("512x32000")
    '512 × 32000'
    """
    return str(text).replace("x", " × ")


def names(all_names: Sequence[str]) -> str:
    """
    >>> names(["native"]), names(["native", "torch", "compiled"])
    ('native', 'native, torch and compiled')
    """
    return " and ".join(filter(None, (", ".join(all_names[:-1]), all_names[-1])))


def fastest(all_names: Sequence[str]) -> str:
    """Who is fastest; several are a tie.

    >>> fastest(["native"]), fastest(["native", "torch"])
    ('native is fastest', 'native and torch are statistically tied as the fastest')
    """
    if len(all_names) == 1:
        return f"{all_names[0]} is fastest"
    return f"{names(all_names)} are statistically tied as the fastest"


def reproduced(verdicts: Mapping[str, int], altered: int) -> str:
    """The share of the decided rows that are reproduced, and how many rows are not decided.

    >>> reproduced({"reproduced": 18, "not reproduced": 2, "inconclusive": 5}, altered=1)
    'reproduced: 18 of 20 decided rows, 90 % (68 to 99 %); inconclusive: 5; not comparable: 0; altered: 1'
    """
    good = verdicts.get("reproduced", 0)
    decided = good + verdicts.get("not reproduced", 0)
    found = f"reproduced: {good} of {decided} decided rows"
    if decided:
        share = proportion(good, decided)
        found += f", {100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f} %)"
    others = (f"{name}: {verdicts.get(name, 0)}" for name in ("inconclusive", "not comparable"))
    return "; ".join((found, *others, f"altered: {altered}"))
