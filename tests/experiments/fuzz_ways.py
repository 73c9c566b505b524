"""Random cases of every loss, called plainly and under transforms, compared with the float64 oracle.

    python tests/experiments/fuzz_ways.py SEED SECONDS

Prints every finding with the seed that draws its case again, then the number of cases. A case has a random shape,
dtype, memory layout, options, incoming gradient and numbers; one in eight has special numbers, one in ten is invalid.
"""

from __future__ import annotations

import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import lossimpl
from lossimpl.agreement import ways
from lossimpl.agreement.check import ALL_DTYPES, INF, NAN, Check
from lossimpl.agreement.judge import Result, run_check
from lossimpl.agreement.uses import Backward, expanded_scalar, per_element, scaled, strided
from lossimpl.conformance.run import entry
from lossimpl.losses._makers import DRAWS
from lossimpl.spec import OVER_CLASSES, REDUCTIONS, Loss

IMPLEMENTATIONS = ("native", "vectorized", "naive")
SPECIAL = (0.0, -0.0, 1.0, -1.0, 17.0, 88.7, -104.0, 710.0, 1e4, 1e-6, 1e-30, 3e38, INF, -INF, NAN)
INCOMING = (torch.ones_like, per_element, scaled, strided, expanded_scalar)
BROADCASTING = ("l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "log_cosh_loss")
WEIGHTED = ("l1_loss", "mse_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")


@dataclass(frozen=True)
class Drawn:
    """The generators of one case: the same seed draws the same case."""

    loss: Loss
    choose: random.Random
    numbers: torch.Generator

    def shape(self) -> tuple[int, ...]:
        """Sizes of 0 to 7, mostly above 1, in as many dimensions as the loss reads."""
        least = self.loss.shapes.least_dimensions - self.choose.randrange(2)
        return tuple(self.choose.choice((0, 1, 2, 3, 5, 7)) for _ in range(self.choose.randint(max(least, 0), 3)))

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
        """The same numbers with other strides, sometimes."""
        if values.dim() > 1 and self.choose.random() < 1 / 4:
            return values.transpose(0, -1).contiguous().transpose(0, -1)
        return torch.stack([values, values], -1)[..., 1] if self.choose.random() < 1 / 8 else values

    def smaller(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts to another one."""
        kept = tuple(1 if self.choose.random() < 1 / 3 else size for size in shape)
        return kept[self.choose.randint(0, len(kept)) :] if self.choose.random() < 1 / 3 else kept


def elementwise(drawn: Drawn) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and options of a loss without classes."""
    name, shape = drawn.loss.name, drawn.shape()
    kinds = {"binary_cross_entropy": (drawn.unit, drawn.unit)}
    logits = (drawn.real, drawn.unit)
    kinds |= {"binary_cross_entropy_with_logits": logits, "sigmoid_focal_loss": logits}
    first, second = kinds.get(name, (drawn.real, drawn.real))
    other = drawn.smaller(shape) if name in BROADCASTING and drawn.choose.random() < 1 / 4 else shape
    tensors = {drawn.loss.tensors[0]: first(shape), drawn.loss.tensors[1]: second(other)}
    if name in WEIGHTED and drawn.choose.random() < 1 / 3 and other == shape:
        tensors["weight"] = drawn.unit(shape if name in BROADCASTING else drawn.smaller(shape))
    if name == "binary_cross_entropy_with_logits" and drawn.choose.random() < 1 / 3:
        tensors["pos_weight"] = drawn.unit(drawn.smaller(shape)) * 3
    return tensors, options_of(drawn)


def options_of(drawn: Drawn) -> dict[str, Any]:
    """The numbers that a loss takes beside its tensors."""
    choose = drawn.choose.choice
    if drawn.loss.name == "sigmoid_focal_loss":
        return {"alpha": choose((-1.0, 0.25, 0.5)), "gamma": choose((0.0, 0.5, 1.0, 2.0, 3.7))}
    if drawn.loss.name == "smooth_l1_loss":
        return {"beta": choose((0.0, 0.3, 1.0, 5.0))}
    return {"delta": choose((0.3, 1.0, 5.0))} if drawn.loss.name == "huber_loss" else {}


def classes(drawn: Drawn) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and options of a loss over classes."""
    shape = tuple(max(size, 1) if place < 2 else size for place, size in enumerate(drawn.shape() or (3,)))
    count = shape[1] if len(shape) > 1 else shape[0]
    rows = (shape[0], *shape[2:]) if len(shape) > 1 else ()
    labels = torch.randint(count, rows, generator=drawn.numbers)
    if drawn.choose.random() < 1 / 4:
        labels = torch.where(torch.rand(rows, generator=drawn.numbers) < 0.3, -100, labels)
    tensors = {"input": drawn.real(shape), "target": labels}
    if drawn.choose.random() < 1 / 3:
        tensors["weight" if drawn.loss.name == "cross_entropy" else "alpha"] = drawn.unit((count,)) + 0.1
    if drawn.loss.name == "softmax_focal_loss":
        return tensors, {"gamma": drawn.choose.choice((0.0, 0.5, 1.0, 2.0, 3.7))}
    if drawn.choose.random() < 1 / 4:
        tensors["target"] = drawn.unit(shape)
    return tensors, {"label_smoothing": drawn.choose.choice((0.0, 0.0, 0.1, 1.0))}


def triplet(drawn: Drawn) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and options of the triplet loss."""
    shape = drawn.shape() or (3,)
    choose = drawn.choose.choice
    tensors = {name: drawn.real(shape) for name in drawn.loss.tensors}
    return tensors, {
        "margin": choose((0.2, 1.0, 30.0)),
        "p": choose((1.0, 2.0, 3.0, 0.5, INF)),
        "swap": choose((True, False)),
    }


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


def draw(loss: Loss, seed: int) -> tuple[Check, str]:
    """A case and its dtype; an invalid one expects the error of the loss's own check."""
    drawn = Drawn(loss, random.Random(f"{loss.name} {seed}"), torch.Generator().manual_seed(seed))
    family = classes if loss.shapes is OVER_CLASSES else triplet if len(loss.tensors) == 3 else elementwise
    tensors, options = family(drawn)
    options["reduction"] = drawn.choose.choice(REDUCTIONS)
    if drawn.choose.random() < 1 / 10:
        invalid(drawn, tensors, options)
    dtype = drawn.choose.choice(ALL_DTYPES)
    incoming = drawn.choose.choice(INCOMING if options["reduction"] == "none" else INCOMING[:3])

    def inputs(kind: torch.dtype, device: str) -> dict[str, Any]:
        return {name: one.to(device, kind) if is_real(one) else one for name, one in tensors.items()}

    check = Check(
        f"{loss.name} seed {seed}", "drawn", inputs, options, use=Backward(incoming), dtypes=(dtype,), roundings=64
    )
    try:
        loss.check(**check.tensors(dtype, "cpu"), **options)
    except Exception as error:
        named = [name for name in (*loss.tensors, "weight", "reduction") if name in str(error)]
        return replace(check, raises=(type(error),), says=tuple(named[:1])), dtype
    return check, dtype


def is_real(value: Any) -> bool:
    """Whether a value is a tensor of real numbers."""
    return isinstance(value, Tensor) and value.is_floating_point()


def is_wild(loss: Loss, check: Check, dtype: str) -> bool:
    """Whether numbers overflow, are NaN or cancel: then the oracle is no rule for a plain call."""
    most = 100.0 if loss.name == "triplet_margin_loss" else 1e5  # a difference of distances
    reals = filter(is_real, check.tensors(dtype, "cpu").values())
    return any(bool((~(one.abs() < most)).any()) for one in reals)


def outcomes(seed: int) -> Iterator[tuple[str, Result, Result, bool]]:
    """A case of every loss under every way, for one implementation: way, result, plain call's result, is it wild."""
    for loss in lossimpl.LOSSES.values():
        check, dtype = draw(loss, seed)
        name = IMPLEMENTATIONS[seed % len(IMPLEMENTATIONS)]
        function = entry(loss.name, name, "cpu")
        plain = run_check(loss, name, function, check, dtype)
        wild = is_wild(loss, check, dtype)
        yield "call", plain, plain, wild
        for way in ways.WAYS:
            if way.serves(check, dtype) and (way.name != "make_fx" or seed % 6 < 2):  # slow: native and vectorized
                yield way.name, ways.run_check(loss, name, function, check, dtype, way), plain, wild


def main(seed: int, seconds: float) -> None:
    """Draw until the time is up."""
    warnings.simplefilter("ignore")
    end, counts = time.monotonic() + seconds, Counter[tuple[str, str]]()
    while time.monotonic() < end:
        for way, result, plain, wild in outcomes(seed):
            counts[way, result.status] += 1
            if (
                result.status in ("fail", "error")
                and (plain.status == "pass" or not wild)
                and not (wild and way == "jvp")
            ):
                print(f"{way} {result.implementation} {result.dtype} {result.case}: {result.reason}")
                print(
                    f"    {result.input[:400]}\n    got {result.got[:300]}\n    expected {result.expected[:300]}",
                    flush=True,
                )
        seed += 1
    print(f"{counts.total()} cases up to seed {seed}: {dict(counts)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
