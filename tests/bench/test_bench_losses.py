"""The inner loop while editing an implementation: one timed step of each loss and implementation.

    pytest tests/bench -k focal --benchmark-autosave
    pytest tests/bench -k focal --benchmark-compare

With --benchmark-disable each step runs once, on a tiny shape, and must give a finite gradient.
"""

import pytest
import torch

from lossimpl import LOSSES, Unavailable
from lossimpl.measure import threads, workload
from lossimpl.spec import COMPILING, Case

SHAPES = {"triplet_margin_loss": (4096, 128)}
CACHED, TINY = (128, 1000), (4, 5)


def pairs():
    """Each implementation of each loss; compiling takes seconds a graph, so that is for the slow tests."""
    for loss, known in LOSSES.items():
        for name in known.implementations:
            slow = [pytest.mark.slow] if name in COMPILING else []
            yield pytest.param(loss, name, id=f"{loss}-{name}", marks=slow)


@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize(("loss", "implementation"), list(pairs()))
def test_step(benchmark, loss, implementation):
    """A training step leaves no gradient behind, so that every round does the same work."""
    shape = TINY if benchmark.disabled else SHAPES.get(loss, CACHED)
    options = (("reduction", "mean"),)
    case, known = Case(loss, shape, options=options), LOSSES[loss]
    chosen = known.implementations[implementation]
    reason = chosen.available("cpu") or chosen.serves(case)
    if reason:
        pytest.skip(reason)
    threads.fix()
    given = workload.inputs_of(known, case)
    try:
        call = workload.prepare(chosen.load("cpu"), given, "step")
    except Unavailable as unavailable:
        pytest.skip(str(unavailable))
    benchmark.group = loss
    benchmark(call)
    leaves = [tensor for tensor in given.tensors if tensor.requires_grad]
    value = chosen.load("cpu")(*given.tensors, **given.options)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(value, leaves))
