"""Claims about the memory of large gradients: it is kept when it is freed, and never shared by two that live."""

import multiprocessing
import threading

import pytest
import torch

import lossimpl
from lossimpl.measure import memory

ROWS = 1 << 21  # of 2 float32: 16 MiB, well above the size from which buffers are kept
GIB = 1 << 30


def gradient(rows: int = ROWS, value: float = 1.0) -> torch.Tensor:
    """The gradient of mse_loss summed over `rows` x 2 elements, each of them `value`: a new tensor of that shape."""
    x = torch.full((rows, 2), value / 2, requires_grad=True)
    lossimpl.mse_loss(x, torch.zeros(rows, 2), reduction="sum", implementation="native").backward()
    return x.grad


def values(tensor: torch.Tensor) -> list[float]:
    """The smallest and the largest element, once where they are the same."""
    low, high = torch.aminmax(tensor)
    return sorted({low.item(), high.item()})


def resident() -> int:
    """Bytes of this process that lie in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_the_next_gradient_takes_the_memory_of_the_freed_one():
    """The claim is the address; torch asks for as much in between, so that no other allocator gives it back."""
    first = gradient()
    address = first.data_ptr()
    del first
    between = torch.empty(ROWS, 2)
    assert gradient().data_ptr() == address
    del between


def test_a_much_smaller_gradient_leaves_the_kept_memory_alone():
    """At most a quarter is wasted: half as many rows must not hold on to all of it."""
    first = gradient()
    address = first.data_ptr()
    del first
    half = gradient(ROWS // 2)
    assert half.data_ptr() != address


def test_gradients_that_live_never_share_memory():
    """Four at once, each filled with its own number: were a buffer handed out twice, one would hold another's."""
    alive = [gradient(value=float(i)) for i in range(1, 5)]
    assert [values(g) for g in alive] == [[1.0], [2.0], [3.0], [4.0]]
    del alive[1]
    again = gradient(value=9.0)
    assert values(again) == [9.0]
    assert [values(g) for g in alive] == [[1.0], [3.0], [4.0]]


def test_a_view_keeps_the_memory_from_being_handed_on():
    """The storage is given back when its last view goes, not when the tensor does."""
    row = gradient(value=3.0)[5]
    other = gradient(value=4.0)
    assert row.tolist() == [3.0, 3.0]
    assert values(other) == [4.0]


def test_threads_that_make_and_free_gradients_never_meet():
    """Two threads at it at once; each checks every gradient that it gets."""
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
    """Free what the parent kept, and make a gradient."""
    queue.put(values(gradient(value=7.0)))


def test_a_forked_process_goes_on_with_the_memory_that_it_inherits():
    """DataLoader workers are forked: kept buffers are copied on write, so parent and child stay apart."""
    gradient(value=5.0)  # freed at once, so something is kept when the fork happens
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


def test_the_peak_counts_a_gradient_in_kept_memory():
    """The profiler is told of every hand-out, so a row shows the gradient though nothing was taken from the system."""
    x, y = torch.zeros(ROWS, 2, requires_grad=True), torch.zeros(ROWS, 2)

    def step() -> None:
        lossimpl.mse_loss(x, y, implementation="native").backward()
        x.grad = None

    step()
    assert memory.peak(step) == pytest.approx(x.nbytes, rel=0.01)


@pytest.mark.slow
def test_no_more_than_a_gibibyte_is_kept():
    """Five gradients of 320 MiB live at once, then are freed: the process falls to what it was plus the limit."""
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


def test_backward_of_every_element_writes_no_loss_again():
    """With reduction none: the loss, its gradient's weights (ones), the gradient, and nothing else of that size."""
    x, y = torch.randn(ROWS // 8, 2, requires_grad=True), torch.randn(ROWS // 8, 2)

    def step():
        lossimpl.mse_loss(x, y, reduction="none", implementation="native").backward(ones)
        x.grad = None

    ones = torch.ones_like(y)
    taken = sum(1 for size in memory.allocations(step) if size >= ones.nbytes)
    assert taken == 2
