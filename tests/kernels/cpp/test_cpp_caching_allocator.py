"""Claims about the memory of large gradients: it is cached when freed, and never shared by two live gradients."""

import multiprocessing
import threading

import pytest
import torch

import lossimpl
from lossimpl.measure import memory

ROWS = 1 << 21  # of 2 float32: 16 MiB, well above the smallest size that is cached
GIB = 1 << 30


def gradient(rows: int = ROWS, value: float = 1.0) -> torch.Tensor:
    """The gradient of mse_loss summed over `rows` x 2 elements, each of them `value`: a new tensor of that shape."""
    x = torch.full((rows, 2), value / 2, requires_grad=True)
    lossimpl.mse_loss(x, torch.zeros(rows, 2), reduction="sum", implementation="native").backward()
    return x.grad


def values(tensor: torch.Tensor) -> list[float]:
    """The smallest and the largest element, or one value if they are equal."""
    low, high = torch.aminmax(tensor)
    return sorted({low.item(), high.item()})


def resident() -> int:
    """The resident bytes of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_the_next_gradient_reuses_the_memory_of_the_freed_one():
    """It has the same address; an allocation of that size in between rules out that another allocator reused it."""
    first = gradient()
    address = first.data_ptr()
    del first
    between = torch.empty(ROWS, 2)
    assert gradient().data_ptr() == address
    del between


def test_a_much_smaller_gradient_does_not_use_the_cached_memory():
    """At most a quarter may be wasted, so a gradient of half the rows does not occupy the block."""
    first = gradient()
    address = first.data_ptr()
    del first
    half = gradient(ROWS // 2)
    assert half.data_ptr() != address


def test_live_gradients_never_share_memory():
    """Four at once, each filled with its own number: a shared buffer would show the number of another."""
    alive = [gradient(value=float(i)) for i in range(1, 5)]
    assert [values(g) for g in alive] == [[1.0], [2.0], [3.0], [4.0]]
    del alive[1]
    again = gradient(value=9.0)
    assert values(again) == [9.0]
    assert [values(g) for g in alive] == [[1.0], [3.0], [4.0]]


def test_a_view_prevents_the_reuse_of_its_memory():
    """The storage is freed with its last view, not with the tensor."""
    row = gradient(value=3.0)[5]
    other = gradient(value=4.0)
    assert row.tolist() == [3.0, 3.0]
    assert values(other) == [4.0]


def test_threads_never_share_memory():
    """Two threads allocate and free gradients concurrently; each checks every gradient it gets."""
    found = []

    def work(value: float) -> None:
        found.extend(values(gradient(value=value)) == [value] for _ in range(20))

    threads = [threading.Thread(target=work, args=(value,)) for value in (1.0, 2.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 40


def child(queue: "multiprocessing.Queue[list[float]]") -> None:
    """Compute a gradient in memory that the parent has cached."""
    queue.put(values(gradient(value=7.0)))


def test_a_forked_process_can_use_the_memory_that_it_inherits():
    """DataLoader workers are forked: cached buffers are copied on write, so parent and child do not interfere."""
    gradient(value=5.0)  # freed at once, so that the cache is not empty at the fork
    alive = gradient(value=6.0)
    torch.set_num_threads(1)  # threads of OpenMP do not survive a fork
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    try:
        assert queue.get(timeout=60) == [7.0]
    finally:
        process.join(10)
        torch.set_num_threads(2)
    assert values(alive) == [6.0]


def test_the_peak_counts_a_gradient_in_cached_memory():
    """Every allocation is reported to the profiler, so the peak includes a gradient in cached memory."""
    x, y = torch.zeros(ROWS, 2, requires_grad=True), torch.zeros(ROWS, 2)

    def step() -> None:
        lossimpl.mse_loss(x, y, implementation="native").backward()
        x.grad = None

    step()
    assert memory.peak(step) == pytest.approx(x.nbytes, rel=0.01)


@pytest.mark.slow
def test_at_most_a_gibibyte_is_cached():
    """After five live gradients of 320 MiB are freed, the process is larger than before by at most the limit."""
    rows = 320 * (1 << 20) // 8
    x, y = torch.ones(rows, 2, requires_grad=True), torch.zeros(rows, 2)
    gradients = []
    before = resident()
    for _ in range(5):
        lossimpl.mse_loss(x, y, implementation="native").backward()
        gradients.append(x.grad)
        x.grad = None
    assert resident() - before > 1.5 * GIB
    gradients.clear()
    assert resident() - before <= GIB + (64 << 20)


def test_backward_of_reduction_none_writes_no_losses():
    """A step allocates the losses and the gradient, and nothing else of that size."""
    x, y = torch.randn(ROWS // 8, 2, requires_grad=True), torch.randn(ROWS // 8, 2)

    def step():
        lossimpl.mse_loss(x, y, reduction="none", implementation="native").backward(ones)
        x.grad = None

    ones = torch.ones_like(y)
    taken = sum(1 for size in memory.allocations(step) if size >= ones.nbytes)
    assert taken == 2
