"""What only a GPU can show: sizes, streams, graphs, synchronisation, asserts, and the time of scaling by one."""

import subprocess
import sys
import time

import pytest
import torch

pytestmark = pytest.mark.cuda

OUT_OF_BOUNDS = """
import torch
from lossimpl.kernels.triton import load
load("cross_entropy")(torch.zeros(2, 3, device="cuda"), torch.tensor([0, 3], device="cuda"))
torch.cuda.synchronize()
"""


@pytest.fixture
def native():
    from lossimpl.kernels.triton import load

    return load


def test_nothing_waits_for_the_device(native):
    """torch's debug mode raises on a synchronisation; both ways of computing the gradient are covered."""
    x = torch.randn(64, 1001, device="cuda", requires_grad=True)
    y, weight = torch.randint(0, 1001, (64,), device="cuda"), torch.rand(1001, device="cuda")
    for _ in range(2):  # the first round compiles
        torch.cuda.set_sync_debug_mode("error")
        try:
            for reduction in ("mean", "none"):
                native("cross_entropy")(x, y, weight, reduction=reduction).sum().backward()
                native("mse_loss")(x, x.detach() + 1, reduction=reduction).sum().backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("shape", [(32, 1000), (300, 131_072)])
def test_a_step_can_be_captured_and_replayed(native, shape):
    """A replayed CUDA graph of a step reads new inputs; the workspace of shared rows is cleared each time."""
    x = torch.randn(shape, device="cuda", requires_grad=True)
    y = torch.randint(0, shape[1], shape[:1], device="cuda")

    def step():
        x.grad = None
        loss = native("cross_entropy")(x, y)
        loss.backward()
        return loss

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()
    for _ in range(3):
        with torch.no_grad():
            x.normal_()
        graph.replay()
        expected = torch.nn.functional.cross_entropy(x, y)
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(x.grad, torch.autograd.grad(expected, x)[0])


@pytest.mark.parametrize("implementation", ["native", "torch"])
def test_a_row_of_mode_graph_is_measured(implementation):
    """The row of a replayed step has samples and names the graph in its protocol."""
    from lossimpl import row
    from lossimpl.spec import Case

    found = row.measure(Case("cross_entropy", (32, 10), device="cuda", mode="graph"), implementation)
    assert (found.status, found.reason) == ("ok", "")
    assert found.beside["graph"]
    assert "graph" in found.protocol


def test_more_elements_than_32_bits_can_index(native):
    """The last of 2**31 + 5 elements contributes to the sum, and has the right gradient."""
    n = 2**31 + 5
    x = torch.zeros(n, dtype=torch.bfloat16, device="cuda")
    x[-1] = 3.0
    x.requires_grad_()
    loss = native("mse_loss")(x, torch.zeros_like(x), reduction="sum")
    loss.backward()
    assert float(loss.detach()) == 9.0
    assert x.grad[-1].item() == 6.0
    assert not x.grad[:8].any()


def test_more_logits_than_32_bits_can_index(native):
    """The loss of the last row, beyond 2**31 logits, equals torch's."""
    x = torch.zeros(2**14 + 1, 2**17, dtype=torch.bfloat16, device="cuda")
    x[-1, -1] = 20.0
    target = torch.full((len(x),), 2**17 - 1, device="cuda")
    losses = native("cross_entropy")(x, target, reduction="none")
    expected = torch.nn.functional.cross_entropy(x[-1:].float(), target[-1:], reduction="none")
    torch.testing.assert_close(losses[-1:].float(), expected, rtol=1e-2, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [60_001, 262_144])
def test_parts_of_a_row_wait_for_each_other(native, dtype, width):
    """More programs than the device runs at once, twenty times: always the same bits, and close to torch."""
    x = (3 * torch.randn(600, width, device="cuda")).to(dtype).requires_grad_()
    y = torch.randint(0, width, (600,), device="cuda")
    runs = [torch.autograd.grad(native("cross_entropy")(x, y), x)[0] for _ in range(2)]
    for _ in range(18):
        runs[1] = torch.autograd.grad(native("cross_entropy")(x, y), x)[0]
        assert torch.equal(runs[0], runs[1])
    exact = x.detach().float().requires_grad_()
    (expected,) = torch.autograd.grad(torch.nn.functional.cross_entropy(exact, y), exact)
    torch.testing.assert_close(runs[0].float(), expected, rtol=1e-2 if dtype == torch.bfloat16 else 1e-4, atol=1e-9)


def test_shared_rows_on_several_streams_do_not_deadlock(native):
    """Four concurrent kernels, each with more programs than the device runs at once: all end, with equal bits."""
    width = 262_144
    batches = [torch.randn(300, width, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(4)]
    y = torch.randint(0, width, (300,), device="cuda")
    alone = [torch.autograd.grad(native("cross_entropy")(x, y), x)[0] for x in batches]
    torch.cuda.synchronize()
    together, ends = [], []
    for x in batches:
        with torch.cuda.stream(torch.cuda.Stream()):
            together.append(torch.autograd.grad(native("cross_entropy")(x, y), x)[0])
            ends.append(torch.cuda.current_stream().record_event())
    deadline = time.monotonic() + 60
    while not all(end.query() for end in ends):
        assert time.monotonic() < deadline, "programs wait for programs that cannot start"
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_a_target_out_of_bounds_is_an_error():
    """A device assert, as in torch. It ends the CUDA context, so it runs in a subprocess."""
    done = subprocess.run([sys.executable, "-c", OUT_OF_BOUNDS], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "out of bounds" in done.stderr + done.stdout or "device-side assert" in done.stderr


def test_scaling_by_one_takes_no_pass_over_memory(native):
    """It takes less than a tenth of the time of a pass over the gradient."""
    from lossimpl.kernels.triton.sums import scale_in_place
    from lossimpl.measure import cuda

    grad = torch.ones(1 << 28, device="cuda")
    one, other = torch.ones((), device="cuda"), torch.full((), -1.0, device="cuda")
    free = min(cuda.time_calls(lambda: scale_in_place(grad, one)).samples)
    paid = min(cuda.time_calls(lambda: scale_in_place(grad, other)).samples)
    assert free < 0.1 * paid


def test_the_work_is_on_the_current_stream(native):
    """The loss of an input computed on a side stream is correct, so the kernel waited for that stream."""
    x, y = torch.randn(4096, 4096, device="cuda"), torch.randint(0, 4096, (4096,), device="cuda")
    expected = torch.nn.functional.cross_entropy(x, y)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()) as _:
        torch.cuda._sleep(10_000_000)
        z = x * 1.0
        loss = native("cross_entropy")(z, y)
    torch.cuda.synchronize()
    torch.testing.assert_close(loss, expected)
