"""Random cases of every loss, called plainly and under transforms, compared with the float64 oracle.

    python tests/experiments/fuzz_ways.py SEED SECONDS

Prints every finding with the seed that draws its case again, then the number of cases. A case has a random shape,
dtype, memory layout, options, incoming gradient and numbers; one in eight has special numbers, one in ten is invalid.
Ways that take long run for one seed in several (`EVERY`).
"""

from __future__ import annotations

import random
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import lossimpl
from lossimpl.agreement import ways
from lossimpl.agreement.check import ALL_DTYPES, INF, NAN, Check
from lossimpl.agreement.judge import Result, run_check
from lossimpl.agreement.uses import (
    Backward,
    Tensors,
    Times,
    expanded_scalar,
    per_element,
    scaled,
    second_derivative,
    strided,
)
from lossimpl.conformance.run import entry
from lossimpl.conformance.ways import KNOWN, RUNS
from lossimpl.losses._makers import DRAWS
from lossimpl.spec import OVER_CLASSES, REDUCTIONS, Function, Loss

IMPLEMENTATIONS = ("native", "vectorized", "naive")
SPECIAL = (0.0, -0.0, 1.0, -1.0, 17.0, 88.7, -104.0, 710.0, 1e4, 1e-6, 1e-30, 3e38, INF, -INF, NAN)
INCOMING = (torch.ones_like, scaled, expanded_scalar, Times(-512.0), per_element, strided)  # the last two: "none"
BROADCASTING = ("l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "log_cosh_loss")
WEIGHTED = ("l1_loss", "mse_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
GAMMAS = (0.0, 0.5, 1.0, 2.0, 3.7)
OPTIONS: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "sigmoid_focal_loss": {"alpha": (-1.0, 0.0, 0.25, 0.5, 1.0), "gamma": GAMMAS},
    "softmax_focal_loss": {"gamma": GAMMAS, "ignore_index": (-100, -100, 0, 1)},
    "smooth_l1_loss": {"beta": (0.0, 1e-30, 0.3, 1.0, 5.0, 1e10)},
    "huber_loss": {"delta": (0.3, 1.0, 5.0, 1e10, INF)},
    "triplet_margin_loss": {
        "margin": (0.2, 1.0, 30.0),
        "p": (1.0, 2.0, 2.0, 3.0, 1.5, 10.0, 0.5, INF),
        "eps": (1e-6, 1e-6, 0.0, 1e-3),
        "swap": (True, False),
    },
}
EVERY = {"make_fx": 5, "linearize": 11, "nested vmap": 3, "functionalize": 5, "torch.fx": 17, "torch.jit.trace": 61}
PROGRAMS = {"export": 301, "compile": 301}  # one loss each time
MOST = 700  # elements


@dataclass(frozen=True)
class Drawn:
    """The generators of one case: the same seed draws the same case."""

    loss: Loss
    choose: random.Random
    numbers: torch.Generator

    def shape(self) -> tuple[int, ...]:
        """Sizes of 0 to 33, mostly above 1, in as many dimensions as the loss reads."""
        least = self.loss.shapes.least_dimensions - self.choose.randrange(2)
        dimensions = self.choose.randint(max(least, 0), 4)
        sizes = [self.choose.choice((0, 1, 2, 2, 3, 3, 5, 5, 7, 17, 33)) for _ in range(dimensions)]
        while torch.Size(sizes).numel() > MOST:
            sizes[sizes.index(max(sizes))] = 2
        return tuple(sizes)

    def real(self, shape: tuple[int, ...]) -> Tensor:
        """Real numbers, from one of the makers' distributions; sometimes with special numbers among them."""
        draws = ("normal", "near") if self.loss.name == "triplet_margin_loss" else tuple(DRAWS)  # else it cancels
        values = DRAWS[self.choose.choice(draws)](shape, self.numbers)
        if self.choose.random() < 1 / 8 and values.numel():
            for _ in range(self.choose.randint(1, 3)):
                values.view(-1)[self.choose.randrange(values.numel())] = self.choose.choice(SPECIAL)
        return self.laid_out(values)

    def unit(self, shape: tuple[int, ...]) -> Tensor:
        """Probabilities, the ends among them."""
        values = torch.rand(shape, generator=self.numbers)
        ends = torch.rand(shape, generator=self.numbers) < 1 / 8
        return self.laid_out(torch.where(ends, values.round(), values))

    def laid_out(self, values: Tensor) -> Tensor:
        """The same numbers with other strides, sometimes; or one row for all."""
        kind = self.choose.randrange(12)
        if kind < 3 and values.dim() > 1:
            return values.transpose(0, -1).contiguous().transpose(0, -1)
        if kind == 3:
            return torch.stack([values, values], -1)[..., 1]
        if kind == 4:
            return torch.cat([values.new_zeros(1), values.flatten()])[1:].view(values.shape)  # not aligned
        if kind == 5 and values.dim() and len(values):
            return values[:1].expand(values.shape)
        return values

    def smaller(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts to another one."""
        kept = tuple(1 if self.choose.random() < 1 / 3 else size for size in shape)
        return kept[self.choose.randint(0, len(kept)) :] if self.choose.random() < 1 / 3 else kept

    def options(self) -> dict[str, Any]:
        """The numbers that the loss takes beside its tensors."""
        return {name: self.choose.choice(values) for name, values in OPTIONS.get(self.loss.name, {}).items()}


def elementwise(drawn: Drawn) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and options of a loss without classes."""
    name, shape = drawn.loss.name, drawn.shape()
    kinds = {"binary_cross_entropy": (drawn.unit, drawn.unit)}
    logits = (drawn.real, drawn.unit)
    kinds |= {"binary_cross_entropy_with_logits": logits, "sigmoid_focal_loss": logits}
    first, second = kinds.get(name, (drawn.real, drawn.real))
    other = drawn.smaller(shape) if name in BROADCASTING and drawn.choose.random() < 1 / 4 else shape
    one, two = (other, shape) if drawn.choose.random() < 1 / 2 else (shape, other)
    tensors = {drawn.loss.tensors[0]: first(one), drawn.loss.tensors[1]: second(two)}
    if name in WEIGHTED and drawn.choose.random() < 1 / 3 and other == shape:
        tensors["weight"] = drawn.unit(shape if name in BROADCASTING else drawn.smaller(shape))
    if name == "binary_cross_entropy_with_logits" and drawn.choose.random() < 1 / 3:
        tensors["pos_weight"] = drawn.unit(drawn.smaller(shape)) * 3
    return tensors, drawn.options()


def classes(drawn: Drawn) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and options of a loss over classes."""
    shape = tuple(max(size, 1) if place < 2 else size for place, size in enumerate(drawn.shape() or (3,)))
    count = shape[1] if len(shape) > 1 else shape[0]
    rows = (shape[0], *shape[2:]) if len(shape) > 1 else ()
    labels = torch.randint(count, rows, generator=drawn.numbers)
    if drawn.choose.random() < 1 / 4:
        labels = torch.where(torch.rand(rows, generator=drawn.numbers) < 0.3, -100, labels)
    elif drawn.choose.random() < 1 / 8:
        labels = labels.to(torch.uint8)
    tensors, options = {"input": drawn.real(shape), "target": labels}, drawn.options()
    if drawn.choose.random() < 1 / 3:
        tensors["weight" if drawn.loss.name == "cross_entropy" else "alpha"] = drawn.unit((count,)) + 0.1
    elif drawn.loss.name == "softmax_focal_loss":
        options["alpha"] = drawn.choose.choice((None, 0.25, 0.0))
    if drawn.loss.name == "softmax_focal_loss":
        return tensors, options
    if drawn.choose.random() < 1 / 4:
        tensors["target"] = drawn.unit(shape)
    else:
        options["ignore_index"] = drawn.choose.choice((-100, -100, 0, 1))
    return tensors, options | {"label_smoothing": drawn.choose.choice((0.0, 0.0, 0.1, 1.0))}


def triplet(drawn: Drawn) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and options of the triplet loss."""
    shape = drawn.shape() or (3,)
    shapes = [shape] * 3
    if drawn.choose.random() < 1 / 6:
        shapes[drawn.choose.randrange(3)] = tuple(1 if drawn.choose.random() < 1 / 3 else size for size in shape)
    return {name: drawn.real(one) for name, one in zip(drawn.loss.tensors, shapes, strict=True)}, drawn.options()


def invalid(drawn: Drawn, tensors: dict[str, Any], options: dict[str, Any]) -> None:
    """Make one argument invalid."""
    first, second = drawn.loss.tensors[:2]
    ways_to_fail = [lambda: options.update(reduction="avg"), lambda: tensors.update({first: "text"})]
    ways_to_fail.append(lambda: tensors.update({second: torch.zeros((*tensors[second].shape, 11, 13))}))
    if tensors[second].dtype == torch.int64 and tensors[second].numel():
        ways_to_fail.append(lambda: tensors[second].view(-1)[-1:].fill_(drawn.choose.choice((99, -1))))
    if drawn.loss.name == "binary_cross_entropy" and tensors[first].numel():
        wrong = torch.full_like(tensors[first], drawn.choose.choice((1.5, -0.1, NAN)))
        ways_to_fail.append(lambda: tensors.update({drawn.choose.choice((first, second)): wrong}))
    drawn.choose.choice(ways_to_fail)()


def draw(loss: Loss, seed: int) -> tuple[Loss, Check, str]:
    """A case and its dtype; an invalid one expects the error of the loss's own check.

    The loss says which gradients are compared: for one case in four, the target's too.
    """
    drawn = Drawn(loss, random.Random(f"{loss.name} {seed}"), torch.Generator().manual_seed(seed))
    family = classes if loss.shapes is OVER_CLASSES else triplet if len(loss.tensors) == 3 else elementwise
    tensors, options = family(drawn)
    options["reduction"] = drawn.choose.choice(REDUCTIONS)
    if drawn.choose.random() < 1 / 10:
        invalid(drawn, tensors, options)
    dtype = drawn.choose.choice(ALL_DTYPES)
    incoming = drawn.choose.choice(INCOMING if options["reduction"] == "none" else INCOMING[:-2])
    if family is elementwise and drawn.choose.random() < 1 / 4:
        loss = replace(loss, differentiable=loss.tensors)

    def inputs(kind: torch.dtype, device: str) -> dict[str, Any]:
        return {name: one.to(device, kind) if is_real(one) else one for name, one in tensors.items()}

    check = Check(
        f"{loss.name} seed {seed}", "drawn", inputs, options, use=Backward(incoming), dtypes=(dtype,), roundings=64
    )
    try:
        loss.check(**check.tensors(dtype, "cpu"), **options)
    except Exception as error:
        named = [name for name in (*loss.tensors, "weight", "reduction") if name in str(error)]
        return loss, replace(check, raises=(type(error),), says=tuple(named[:1])), dtype
    return loss, check, dtype


def is_real(value: Any) -> bool:
    """Whether a value is a tensor of real numbers."""
    return isinstance(value, Tensor) and value.is_floating_point()


def largest(check: Check, dtype: str) -> float:
    """The largest absolute value among the arguments; infinite for NaN too."""
    reals = [one.abs().double() for one in check.tensors(dtype, "cpu").values() if is_real(one) and one.numel()]
    return max((float(one.nan_to_num(INF).max()) for one in reals), default=0.0)


def sums_overflow(loss: Loss, check: Check, dtype: str) -> bool:
    """Whether the losses add up beyond the precision that formulas compute in; kernels sum in double precision."""
    exact = {name: one.double() if is_real(one) else one for name, one in check.tensors(dtype, "cpu").items()}
    total = loss.oracle(**exact, **{**check.options, "reduction": "none"}).abs().nansum()
    return float(total) > range_of(dtype)


def range_of(dtype: str) -> float:
    """The largest number of the precision that formulas compute in."""
    return torch.finfo(torch.float64 if dtype == "float64" else torch.float32).max


def leaves_range(result: Result) -> bool:
    """Whether the number that a result misses is beyond the range, so that its terms may be infinite of both signs."""
    missed = re.search(r"oracle (\S+)$", result.reason)
    return missed is not None and range_of(result.dtype) < abs(float(missed[1])) < INF


def mixed_vmap(
    function: Function, tensors: Tensors, options: Mapping[str, Any], names: tuple[str, ...], use: Backward
) -> Tensors:
    """Value and gradients of the second of three samples; every argument is batched in its own dimension, or not."""
    given, fixed = ways.split(tensors)
    choose = random.Random(str([one.shape for one in given.values()]))
    places = {name: choose.choice((None, 0, -1, one.dim() // 2)) for name, one in given.items()}
    if not any(place is not None for place in places.values()):
        places[next(iter(given))] = 0
    batch = {name: one if places[name] is None else torch.stack([one] * 3, places[name]) for name, one in given.items()}
    results = torch.vmap(lambda own: ways.func_grad(function, own | fixed, options, names, use), in_dims=(places,))(
        batch
    )
    return {name: one[1] for name, one in results.items()}


MIXED = ways.Way("mixed vmap", mixed_vmap)
CASE_BY_CASE = (*ways.WAYS, MIXED, *(KNOWN[name] for name in EVERY if name != "make_fx"))


def outcomes(seed: int) -> Iterator[tuple[Loss, Check, str, Result, Result]]:
    """A case of every loss under every way, for one implementation: loss, case, way, result, plain call's result."""
    name = IMPLEMENTATIONS[seed % len(IMPLEMENTATIONS)]
    for place, known in enumerate(lossimpl.LOSSES.values()):
        loss, check, dtype = draw(known, seed)
        function = entry(loss.name, name, "cpu")
        plain = run_check(loss, name, function, check, dtype)
        yield loss, check, "call", plain, plain
        for way in CASE_BY_CASE:
            turn = (seed // len(IMPLEMENTATIONS) + place) % EVERY.get(way.name, 1)
            if not turn and way.serves(check, dtype):
                yield loss, check, way.name, ways.run_check(loss, name, function, check, dtype, way), plain
        for program, every in PROGRAMS.items():
            if not (seed * len(lossimpl.LOSSES) + place) % every:
                yield loss, check, program, RUNS[program](loss, name, function, [(check, dtype)])[0], plain
        if not check.raises and dtype in ("float64", "float32") and is_smooth(check, dtype):
            twice = replace(check, use=second_derivative)
            once = run_check(loss, name, function, twice, dtype)
            yield loss, twice, "second derivative", once, once


def is_smooth(check: Check, dtype: str) -> bool:
    """Whether second derivatives are those of the oracle: not those of norms with kinks, nor of clamped logarithms."""
    exists = all(one.numel() for one in check.tensors(dtype, "cpu").values() if isinstance(one, Tensor))
    kinks = check.options.get("p", 2.0) != 2.0 or check.name.startswith("binary_cross_entropy seed")
    return exists and not kinks and largest(check, dtype) < 100


def is_finding(loss: Loss, check: Check, way: str, result: Result, plain: Result) -> bool:
    """Whether a result is wrong although the case is well-conditioned, or the plain call is right."""
    if result.status == "pass":
        return False
    most, dtype = largest(check, result.dtype), result.dtype
    if check.raises or not isinstance(check.use, Backward):
        return not (error_of(result) < 1e-2)
    wild = not most < (100.0 if loss.name == "triplet_margin_loss" else 1e5)
    if wild and (plain.status != "pass" or (way in ("jvp", "linearize") and most == INF) or leaves_range(result)):
        return False  # overflow, NaN and cancellation: the oracle is no rule for a plain call
    cancels = loss.name == "triplet_margin_loss"  # a difference of distances, whose gradient is one of unit vectors
    if error_of(result) < (5e-2 if cancels or isinstance(check.use.incoming, Times) else 1e-3):
        return False  # the floor of relative errors is for terms of about 1
    return not (way != "call" and sums_overflow(loss, check, dtype))


def error_of(result: Result) -> float:
    """The relative error that a result reports; infinite where it reports something else."""
    error = re.search(r"relative error ([\d.e+-]+) exceeds", result.reason)
    return float(error[1]) if error else INF


def main(seed: int, seconds: float) -> None:
    """Draw until the time is up."""
    warnings.simplefilter("ignore")
    end, counts = time.monotonic() + seconds, Counter[tuple[str, str]]()
    while time.monotonic() < end:
        for loss, check, way, result, plain in outcomes(seed):
            counts[way, result.status] += 1
            if is_finding(loss, check, way, result, plain):
                print(f"{way} {result.implementation} {result.dtype} {result.case}: {result.status} {result.reason}")
                print(f"    {result.input[:400]}, {getattr(check.use, 'incoming', None)}")
                print(f"    got {result.got[:300]}\n    expected {result.expected[:300]}", flush=True)
        seed += 1
    print(f"{counts.total()} cases up to seed {seed}: {dict(counts)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
