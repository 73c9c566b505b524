"""Slowdowns of known size for the self-test, copied into a suite as `benchmarks/planted.py` beside a table of plants.

busy          the call, then spinning for a share of its own time: a slowdown of exactly that size
instructions  iterations of an empty loop, then the call
extra pass    reads the input once more
extra copy    copies the input once more
lost fusion   the `vectorized` implementation instead of the row's own
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[[], object]


def planted(ready: Callable[..., Call], inputs: Callable[..., Any]) -> Callable[..., Call]:
    """`ready` with the plants of the table; `inputs(stem, *params)` returns the row's first tensor."""
    table = json.loads(Path(__file__).with_name("plants.json").read_text())

    def slowed(stem: str, implementation: str, *params: str) -> Call:
        kind, size = table.get("|".join((stem, implementation, *params)), ("none", 0))
        if kind == "lost fusion":
            return ready(stem, "vectorized", *params)
        call = ready(stem, implementation, *params)
        if kind == "busy":
            return busy(call, size)
        if kind == "instructions":
            return looping(call, int(size))
        if kind in ("extra pass", "extra copy"):
            tensor = inputs(stem, *params)
            return after(call, tensor.sum if kind == "extra pass" else tensor.clone)
        return call

    return slowed


def busy(call: Call, share: float) -> Call:
    """The call, then `share` of its time spent spinning."""

    def slower() -> object:
        started = time.perf_counter()
        result = call()
        end = time.perf_counter() + share * (time.perf_counter() - started)
        while time.perf_counter() < end:
            pass
        return result

    return slower


def looping(call: Call, iterations: int) -> Call:
    """A loop without effect, each of whose iterations costs the same few instructions, then the call."""
    nothing = (None,) * iterations

    def longer() -> object:
        any(nothing)
        return call()

    return longer


def after(call: Call, extra: Call) -> Call:
    """Something that the call does not need, then the call."""

    def both() -> object:
        extra()
        return call()

    return both
