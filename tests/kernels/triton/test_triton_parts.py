"""Long rows that several programs share: the results of one program, and a wait that ends.

Expected values come from the loss's float64 oracle, and in the last test from torch in float64.
"""

import multiprocessing

import pytest
import torch
from test_triton_rows import compare, labels, logits

pytestmark = pytest.mark.filterwarnings("ignore")  # numpy's warnings of the infinities that the interpreter meets
SECONDS = 60  # until a process that waits forever is killed


@pytest.fixture
def four_parts(small_tiles, monkeypatch):
    """Rows of more than 16 bytes in up to four parts; small_tiles splits a part into several tiles."""
    from lossimpl.kernels.triton import class_losses, tuning

    monkeypatch.setattr(tuning, "PART_BYTES", 16)
    monkeypatch.setattr(class_losses, "multiprocessors", lambda device: 7)


# 9 and 13: parts without a vector; 37: a target in an edge; 64: four equal parts of several tiles
@pytest.mark.parametrize("width", [9, 13, 37, 64])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_parts_together_give_the_row(width, reduction, four_parts, device):
    """Value and gradient of divided rows are close to the oracle's."""
    for dtype in (torch.float32, torch.bfloat16):
        arguments = [logits(4, width, dtype, device), labels(4, width, device)]
        compare("cross_entropy", arguments, (0,), dtype, reduction=reduction)
    weight = torch.linspace(0.1, 2.0, width).to(device)
    arguments = [logits(4, width, torch.float32, device), labels(4, width, device)]
    compare("softmax_focal_loss", arguments, (0,), torch.float32, alpha=weight, reduction=reduction)


def test_parts_without_any_possible_class(four_parts, device):
    """A part with only -inf has maximum -inf and sum 0, and does not make the row NaN."""
    from lossimpl.kernels.triton import load

    x = torch.full((1, 64), float("-inf"), device=device)
    x[0, [3, 60]] = 0.0
    x.requires_grad_()
    loss = load("cross_entropy")(x, torch.tensor([3], device=device))
    loss.backward()
    assert float(loss) == pytest.approx(0.6931471805599453)  # log 2: two classes left, equally likely
    assert x.grad[0, [3, 60]].tolist() == [-0.5, 0.5]
    assert int(torch.count_nonzero(x.grad)) == 2


def test_only_a_row_that_is_read_twice_is_divided():
    """The number of parts for common vocabularies in two and four bytes on an H100 (132 multiprocessors)."""
    from lossimpl.kernels.triton import tuning

    parts = {(w, b): tuning.row_parts(w, b, 132) for w in (32000, 50257, 128256, 262144) for b in (2, 4)}
    assert parts == {
        (32000, 2): 1, (32000, 4): 2, (50257, 2): 1, (50257, 4): 2,
        (128256, 2): 4, (128256, 4): 8, (262144, 2): 8, (262144, 4): 16,
    }  # fmt: skip
    assert tuning.row_parts(1 << 24, 4, 132) == tuning.MAX_PARTS
    assert tuning.row_parts(1 << 24, 4, 2) == 2  # no more than run at once


def half_of_the_programs(tensors, rows, width, wait):
    """Run programs one after another, as a device with one slot; two such processes make a device with two slots."""
    import triton.language as tl

    from lossimpl.kernels.triton.classes import class_rows_kernel

    x, target, losses, grad, workspace = tensors
    class_rows_kernel[(rows, 1, 1)](
        x, target, None, None, None, losses, grad, workspace, width, width, 0, -100, 0.0, 1.0, 0.0,
        FOCAL=False, SMOOTH=False, EDGES=True, WHOLE=False, FIRST_READ="evict_last", COUNT=0, PARTS=2, WAIT=wait,
        COMPUTE=tl.float32, LANES=2, VECTOR=4,
    )  # fmt: skip


@pytest.mark.parametrize(("wait", "right"), [(True, True), (False, False)])
def test_two_concurrent_programs_wait_for_each_other(wait, right, device):
    """Two processes run half of the programs each in shared memory: the wait ends, and without it rows are wrong."""
    if device != "cpu":
        pytest.skip("a GPU runs programs at once by itself: test_triton_gpu.py")
    rows, width = 6, 41
    x, target = logits(rows, width, torch.float32, device), torch.arange(rows) * 7
    losses, grad, workspace = torch.zeros(rows), torch.zeros(rows, width), torch.zeros(1 + 2 * rows, dtype=torch.int64)
    tensors = [tensor.share_memory_() for tensor in (x, target, losses, grad, workspace)]
    fork = multiprocessing.get_context("fork")  # the interpreter's kernels cannot be sent to a new process
    workers = [fork.Process(target=half_of_the_programs, args=(tensors, rows, width, wait)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(SECONDS)
        worker.kill()
    assert [worker.exitcode for worker in workers] == [0, 0]
    exact = x.double().requires_grad_()
    expected = torch.nn.functional.cross_entropy(exact, target, reduction="none")
    expected.sum().backward()
    close = torch.allclose(losses.double(), expected, rtol=1e-5)
    assert (close and torch.allclose(grad.double(), exact.grad, atol=1e-6)) == right
    assert int(workspace[0]) == 2 * rows
