"""What `test_api_distributed.py` runs in two processes: each claim compares with the same numbers from one process.

python two_processes.py RESULTS    writes to the folder RESULTS one JSON file per rank: claim -> None or the error
"""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor, init_device_mesh
from torch.distributed.tensor.parallel import loss_parallel
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

import lossimpl
from lossimpl.inputs import make
from lossimpl.spec import Case

ROWS, WIDTH = 6, 4
REDUCTIONS = ("none", "mean", "sum")
PLACEMENTS = {"rows": Shard(0), "columns": Shard(1), "replicated": Replicate(), "partial": Partial()}
LABELS = torch.tensor([0, 3, -100, 2, 1, -100])
WEIGHT = torch.tensor([0.5, 2.0, 1.0, 0.25])
CLASS_CALLS: tuple[tuple[Tensor, dict[str, Any]], ...] = (
    (LABELS, {}),
    (LABELS, {"weight": WEIGHT}),
    (LABELS, {"label_smoothing": 0.1}),
    (torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(3)).softmax(1), {"weight": WEIGHT}),
)


def assert_same(got: list[Tensor], expected: list[Tensor], *about: object) -> None:
    """Values and gradients of float32, to rounding."""
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6, msg=lambda text: f"{about}: {text}")


def gathered(tensor: Tensor) -> Tensor:
    """The whole of a DTensor; any other tensor itself."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def differentiated(call: Callable[[Tensor], Tensor], leaf: Tensor) -> list[Tensor]:
    """The value and the gradient of a call, gathered."""
    leaf = leaf.detach().requires_grad_()
    value = call(leaf)
    gathered(value).sum().backward()
    assert leaf.grad is not None
    return [gathered(value).detach(), gathered(leaf.grad)]


def placed(tensor: Tensor, placement: str) -> DTensor:
    """The tensor distributed over both ranks; labels and weights, which cannot be sharded alike, are replicated."""
    mesh = init_device_mesh("cpu", (2,))
    if placement == "partial" and tensor.dim() == 2:
        return DTensor.from_local(tensor / 2, mesh, [Partial()])
    kept = tensor.shape[0] == ROWS if placement == "rows" else tensor.dim() == 2 and placement == "columns"
    return distribute_tensor(tensor, mesh, [PLACEMENTS[placement] if kept else Replicate()])


def agrees(loss: Callable[..., Tensor], leaf: Tensor, *others: Tensor, **options: Any) -> None:
    """Value and gradient of a loss are the same for every placement and reduction as without distribution."""
    for reduction in REDUCTIONS:
        call = partial(loss, reduction=reduction)
        expected = differentiated(lambda x, call=call: call(x, *others, **options), leaf)
        for placement in PLACEMENTS:
            rest = [placed(one, placement) for one in others]
            named = {key: placed(one, placement) if isinstance(one, Tensor) else one for key, one in options.items()}
            bound = partial(call, **named)
            got = differentiated(lambda x, c=bound, r=rest: c(x, *r), placed(leaf, placement))
            assert_same(got, expected, loss, options, reduction, placement)
            with torch.no_grad():
                value = bound(placed(leaf, placement), *rest)
            assert_same([gathered(value)], expected[:1], "without gradients", loss, options, reduction, placement)


def losses_of_dtensors(implementation: str) -> None:
    """Value and gradient of every loss, placement and reduction."""
    for name, loss in lossimpl.LOSSES.items():
        made = make(Case(name, (ROWS, WIDTH)))
        tensors = [made[key] for key in loss.tensors]
        agrees(partial(getattr(lossimpl, name), implementation=implementation), *tensors)


def options_of_dtensors() -> None:
    """Cross entropy with ignored rows, weights, smoothing, probabilities: torch's mean over shards misses them."""
    leaf = make(Case("cross_entropy", (ROWS, WIDTH)))["input"]
    for target, options in CLASS_CALLS:
        agrees(lossimpl.cross_entropy, leaf, target, **options)


def losses_in_loss_parallel() -> None:
    """`loss_parallel` replaces operators of torch's cross entropy; ours gives the same numbers within."""
    with loss_parallel():
        options_of_dtensors()


def named_implementations_refuse_dtensors() -> None:
    """`Unavailable` for what cannot give the right numbers; an error by name for a mixture."""
    leaf = make(Case("mse_loss", (ROWS, WIDTH)))["input"]
    distributed = placed(leaf, "rows")
    for implementation in ("native", "naive", "torch", "compiled", "torch-compiled"):
        if lossimpl.get("mse_loss").available("cpu")[implementation] is None:
            with raising(lossimpl.Unavailable, f"{implementation} of mse_loss"):
                lossimpl.mse_loss(distributed, distributed, implementation=implementation)
    for one, other in ((leaf, distributed), (distributed, leaf)):
        with raising(RuntimeError, "DTensor"):
            lossimpl.mse_loss(one, other)


@contextlib.contextmanager
def raising(error: type[Exception], words: str) -> Iterator[None]:
    """Assert that the block raises this error with these words."""
    try:
        yield
    except error as raised:
        assert words in str(raised), raised  # noqa: PT017  # pytest is not imported in these processes
    else:
        raise AssertionError(f"no {error.__name__} was raised")


def training_step(name: str, model: Any, rows: slice, policy: CheckpointPolicy | None = None) -> None:
    """One backward pass of a loss of the model's output, its loss in a selective checkpoint if a policy is given."""
    made = make(Case(name, (ROWS, WIDTH)))
    _, *others = (made[key] for key in lossimpl.get(name).tensors)
    inputs = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(1))

    def loss(x: Tensor) -> Tensor:
        first = x.sigmoid() if name == "binary_cross_entropy" else x
        result: Tensor = getattr(lossimpl, name)(first, *(one[rows] for one in others), reduction="mean")
        return result

    output = model(inputs[rows])
    if policy is None:
        value = loss(output)
    else:
        contexts = partial(create_selective_checkpoint_contexts, lambda *_, **__: policy)
        value = checkpoint(loss, output, use_reentrant=False, context_fn=contexts)
    value.backward()


def linear() -> torch.nn.Linear:
    """The model, the same in every process."""
    torch.manual_seed(0)
    return torch.nn.Linear(3, WIDTH)


def gradients(model: torch.nn.Module) -> list[Tensor]:
    """The gradients of the parameters, gathered."""
    return [gathered(one.grad) for one in model.parameters() if one.grad is not None]


def trains_as_one_process(
    wrap: Callable[[torch.nn.Module], Any], policies: tuple[CheckpointPolicy | None, ...]
) -> None:
    """Half of the rows on each rank, averaged: the gradient of the mean over all rows."""
    half = ROWS // 2
    for name in lossimpl.LOSSES:
        alone = linear()
        training_step(name, alone, slice(0, ROWS))
        for policy in policies:
            model = wrap(linear())
            training_step(name, model, slice(half * dist.get_rank(), half * (dist.get_rank() + 1)), policy)
            assert_same(gradients(model), gradients(alone), name, policy)


def sharded(model: torch.nn.Module) -> Any:
    """The model with its parameters sharded over both ranks."""
    return fully_shard(model, mesh=init_device_mesh("cpu", (2,)))


CLAIMS: dict[str, Callable[[], None]] = {
    "DDP": partial(trains_as_one_process, DistributedDataParallel, (None,)),
    "FSDP2": partial(trains_as_one_process, sharded, (None,)),
    "selective checkpoints in DDP": partial(trains_as_one_process, DistributedDataParallel, tuple(CheckpointPolicy)),
    "selective checkpoints in FSDP2": partial(trains_as_one_process, sharded, tuple(CheckpointPolicy)),
    "DTensors by auto": partial(losses_of_dtensors, "auto"),
    "DTensors by vectorized": partial(losses_of_dtensors, "vectorized"),
    "DTensors with options": options_of_dtensors,
    "DTensors in loss_parallel": losses_in_loss_parallel,
    "DTensors are refused by name": named_implementations_refuse_dtensors,
}


def outcome(claim: Callable[[], None]) -> str | None:
    """The traceback of a claim that fails, else None."""
    try:
        claim()
    except Exception:  # whatever it is: it is reported
        return traceback.format_exc()
    return None


def work(rank: int, folder: str) -> None:
    """Try every claim on one rank."""
    warnings.simplefilter("ignore")  # torch warns of redistribution and of unused sharding options
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    found = {name: outcome(claim) for name, claim in CLAIMS.items()}
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.multiprocessing.spawn(work, (sys.argv[1],), nprocs=2)
