"""The conformance table under every way of calling a loss, counted: one cell per loss, implementation and way.

The ways of `agreement.ways` run case by case. Recording a program of torch.compile or torch.export takes seconds, so
cases of the same kind share one, and many kinds share a graph (`batches`). A case is not applicable where torch's own
function keeps it in a plain call, but not this way: the rule is computed for every case that an implementation misses.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lossimpl.adapters.torch_compiled import PLAIN
from lossimpl.agreement import ways
from lossimpl.agreement.cases import checks
from lossimpl.agreement.check import Check
from lossimpl.agreement.judge import Result, judged, run_check, wanted
from lossimpl.agreement.uses import Tensors
from lossimpl.conformance import batches
from lossimpl.conformance.isolation import Worker
from lossimpl.conformance.programs import PROGRAMS
from lossimpl.conformance.run import COMPILE_SECONDS, entry
from lossimpl.spec import Function, Loss

IMPLEMENTATIONS = ("native", "vectorized", "naive")
HEAVY = 1 << 13  # elements; the larger cases are about memory, not about the way of calling
LONG = 1 << 8  # elements for `naive`, whose programs have a few operations per sample
RANK = {"pass": 0, "fail": 1, "unavailable": 2, "error": 2}  # of torch's outcomes, the best first
SAMPLES = {"compile": 60, "export": 100}  # cases per loss and implementation
SHOWN = 5  # outcomes that a cell explains
Asked = tuple[Check, str]  # a check and the dtype that it runs in


@dataclass(frozen=True)
class Cell:
    """How many hard cases of a loss an implementation keeps under one way; `reasons` explains the first others.

    `refused` counts the cases answered by `Unavailable`, `inapplicable` those that torch itself loses this way.
    """

    way: str
    loss: str
    implementation: str
    passed: int
    failed: int
    refused: int
    inapplicable: int
    reasons: tuple[str, ...]
    torch: str

    @property
    def status(self) -> str:
        """`works`, `refuses`, `fails`, or `not applicable` where no case can be run this way."""
        if self.failed:
            return "fails"
        return "works" if self.passed else "refuses" if self.refused else "not applicable"


@dataclass(frozen=True)
class Recorder:
    """A way through a program that is recorded from a function and an example of its arguments, and run later."""

    name: str
    build: batches.Build

    def run(self, loss: Loss, name: str, function: Function, asked: Sequence[Asked]) -> list[Result]:
        """One result per case: those that expect results share programs, those that expect an error have their own."""
        rows: dict[Asked, Result] = {}
        plain = [one for one in asked if not one[0].raises]
        for check, dtype in asked:
            if check.raises:
                rows[check, dtype] = self.alone(loss, name, function, check, dtype)
        kinds = batches.grouped(plain)
        for start in range(0, len(kinds), batches.SIZE):
            some = [one for group in kinds[start : start + batches.SIZE] for one in group]
            rows |= dict(zip(some, self.together(loss, name, function, some), strict=True))
        return [rows[one] for one in asked]

    def together(self, loss: Loss, name: str, function: Function, asked: Sequence[Asked]) -> list[Result]:
        """The results from one program; from halves of it where it fails, so that one bad case fails alone."""
        torch._dynamo.reset()
        try:
            return batches.run_together(loss, name, function, self.build, asked)
        except Exception:
            if len(asked) == 1:
                return [self.alone(loss, name, function, *asked[0])]
        half = len(asked) // 2
        return [row for part in (asked[:half], asked[half:]) for row in self.together(loss, name, function, part)]

    def alone(self, loss: Loss, name: str, function: Function, check: Check, dtype: str) -> Result:
        """The result of a program of its own."""
        torch._dynamo.reset()

        def produce(tensors: Tensors) -> Tensors:
            given = {key: one for key, one in tensors.items() if isinstance(one, Tensor)}
            fixed = {key: one for key, one in tensors.items() if key not in given}

            def one(batch: list[Tensors]) -> list[Tensor]:
                return [function(**batch[0], **fixed, **check.options)]

            if check.raises:
                return {"value": self.build(one, [given])([given])[0]}
            inputs = batches.leaves_of(loss, given)
            value = self.build(one, [inputs])([inputs])[0]
            return batches.use_of(check).differentiate(value, inputs, wanted(loss, tensors))

        return judged(loss, name, produce, ways.RECORDED.expects(check), dtype)


class _Module(torch.nn.Module):
    """A function as a module, which torch.export wants."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, batch: list[dict[str, Any]]) -> list[Tensor]:
        result: list[Tensor] = self.function(batch)
        return result


def compiled(function: Function, batch: list[dict[str, Any]]) -> Function:
    """The function through torch.compile's tracer and autograd, without graph breaks and without generated code.

    The code that torch.compile generates is what the table asks of `compiled`; to generate it here takes hours.
    """
    del batch
    code: Function = torch.compile(function, fullgraph=True, backend="aot_eager")
    return code


def exported(function: Function, batch: list[dict[str, Any]]) -> Function:
    """The function as a program of `torch.export`."""
    return torch.export.export(_Module(function), (batch,), strict=False).module()


def case_by_case(way: ways.Way) -> Callable[..., list[Result]]:
    """A way of `agreement.ways`, over many cases."""

    def run(loss: Loss, name: str, function: Function, asked: Sequence[Asked]) -> list[Result]:
        return [ways.run_check(loss, name, function, check, dtype, way) for check, dtype in asked]

    return run


def called(loss: Loss, name: str, function: Function, asked: Sequence[Asked]) -> list[Result]:
    """The plain call."""
    return [run_check(loss, name, function, check, dtype) for check, dtype in asked]


OTHERS = (*ways.OTHERS, *PROGRAMS)
KNOWN = {way.name: way for way in (*ways.WAYS, *OTHERS)}
RUNS: dict[str, Callable[..., list[Result]]] = {
    "call": called,
    **{way.name: case_by_case(way) for way in ways.WAYS},
    "compile": Recorder("compile", compiled).run,
    "export": Recorder("export", exported).run,
    **{way.name: case_by_case(way) for way in OTHERS},
}


def cases(loss: Loss, name: str, dtypes: Sequence[str] = (), most: int = HEAVY) -> list[Asked]:
    """The cases below `most` elements that one forward and backward pass decides, in the dtypes that a way serves."""
    found = [(check, dtype) for check in checks(loss) if elements(check) < most for dtype in check.dtypes]
    way = KNOWN.get(name) or replace(ways.RECORDED, sample=SAMPLES.get(name, 0))
    if name != "call":
        found = [(check, dtype) for check, dtype in found if way.applies(check) and way.serves(check, dtype)]
    found = [(check, dtype) for check, dtype in found if not dtypes or dtype in dtypes]
    return found[:: max(1, -(-len(found) // way.sample))] if way.sample else found


def elements(check: Check) -> float:
    """The size of a case's largest tensor."""
    if check.slow:
        return math.inf
    tensors = check.tensors(check.dtypes[0], "cpu").values()
    return max((one.numel() for one in tensors if isinstance(one, Tensor)), default=0)


def results(name: str, implementation: str, way: str, dtypes: Sequence[str] = ()) -> list[Result]:
    """The results of the cases; one that torch itself loses this way has the status `not applicable`."""
    import lossimpl

    loss = lossimpl.get(name)
    asked = cases(loss, way, dtypes, LONG if implementation == "naive" else HEAVY)
    rows = RUNS[way](loss, implementation, entry(name, implementation, "cpu"), asked)
    missed = [one for one, row in zip(asked, rows, strict=True) if row.status in ("fail", "error")]
    lost = lost_by_torch(loss, way, missed)
    return [replace(row, status="not applicable") if one in lost else row for one, row in zip(asked, rows, strict=True)]


def lost_by_torch(loss: Loss, way: str, asked: Sequence[Asked]) -> set[Asked]:
    """The cases in which torch's function, or the formula that people write with torch's, does worse than plainly."""
    if not asked or way == "call":
        return set()
    function = PLAIN[loss.name]
    plain, ours = (RUNS[one](loss, "torch", function, asked) for one in ("call", way))
    pairs = zip(asked, plain, ours, strict=True)
    return {one for one, before, after in pairs if RANK[after.status] > RANK[before.status]}


def cell(name: str, implementation: str, way: str, dtypes: Sequence[str] = ()) -> Cell:
    """The counts of one cell, computed in this process."""
    rows = results(name, implementation, way, dtypes)
    count = Counter(row.status for row in rows)
    reasons = [f"{row.case} [{row.dtype}]: {row.reason}; got {row.got}" for row in rows if row.status != "pass"]
    return Cell(
        way, name, implementation, count["pass"], count["fail"] + count["error"], count["unavailable"],
        count["not applicable"], tuple(one[:500] for one in reasons[:SHOWN]), torch.__version__,
    )  # fmt: skip


def cells(
    losses: Sequence[str], implementations: Sequence[str] = (), names: Sequence[str] = (), dtypes: Sequence[str] = ()
) -> Iterator[Cell]:
    """Every cell, computed in a child process: a crash or a hang is a failure of its cell."""
    with Worker() as worker:
        for way in names or RUNS:
            for name in losses:
                for implementation in implementations or IMPLEMENTATIONS:
                    outcome = worker.run(cell, name, implementation, way, dtypes, seconds=6 * COMPILE_SECONDS)
                    empty = Cell(way, name, implementation, 0, 1, 0, 0, (outcome.reason,), torch.__version__)
                    yield outcome.value if outcome.status == "returned" else empty
