"""The GPU clock's logic, on a device of paper: its queue is a number that grows, so every expected time is exact."""

import sys
import time
from types import SimpleNamespace

import pytest
import torch

from lossimpl.measure import cuda, cuda_board
from lossimpl.measure.clock import Rule
from lossimpl.measure.cuda_board import Reading, SilentBoard
from lossimpl.measure.cuda_device import TorchDevice

RULE = Rule(max_seconds=0.2, min_samples=7, max_samples=20, warmup_seconds=1e-4)
WORK, COLD_EXTRA, FLUSH = 100e-6, 30e-6, 40e-6  # seconds that the paper device takes
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class PaperDevice:
    """Counts device seconds; its cache is cold after a flush, and warm after a call."""

    def __init__(self):
        self.now, self.cold, self.log, self.captured = 0.0, True, [], 0

    def mark(self):
        self.log.append("mark")
        return self.now

    def seconds(self, start, end):
        return end - start

    def synchronize(self):
        self.log.append("synchronize")

    def flush(self):
        self.log.append("flush")
        self.now, self.cold = self.now + FLUSH, True

    def occupy(self, seconds):
        self.log.append("occupy")
        self.now += seconds

    def capture(self, call):
        self.captured += 1
        return call

    def work(self):
        self.log.append("work")
        self.now += WORK + (COLD_EXTRA if self.cold else 0.0)
        self.cold = False


class PaperBoard(SilentBoard):
    """Gives the readings in turn, and the last one again after that."""

    def __init__(self, *readings, others=0):
        self.readings, self.neighbours = list(readings), others

    def read(self):
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]

    def others(self):
        return self.neighbours


COOL = Reading(1980, 41, 0x0)


def timed(device, board=None, **options):
    return cuda.time_calls(device.work, RULE, device=device, board=board or PaperBoard(COOL), **options)


def test_a_cold_sample_is_one_call_on_an_empty_cache_without_the_flush_and_without_the_head_start():
    timing = timed(PaperDevice())
    assert timing.samples == pytest.approx((WORK + COLD_EXTRA,) * 7)
    assert (timing.number, timing.stop, timing.cold, timing.graph) == (1, "precise", True, False)


def test_a_warm_sample_is_a_batch_that_never_flushes():
    device = PaperDevice()
    timing = timed(device, cold=False)
    assert timing.number > 1
    assert timing.samples == pytest.approx((WORK,) * 7)
    assert "flush" not in device.log


def test_flush_and_head_start_come_before_the_first_event_of_every_sample():
    device = PaperDevice()
    timing = timed(device)
    assert device.log[-5 * len(timing.samples) :] == ["flush", "occupy", "mark", "work", "mark"] * len(timing.samples)


def test_the_head_start_is_longer_than_the_host_needs():
    """A call that keeps the host busy for 2 ms must find the device occupied for longer than that."""
    device, given = PaperDevice(), []
    device.occupy = given.append
    cuda.time_calls(lambda: time.sleep(2e-3), RULE, device=device, board=PaperBoard(COOL))
    assert min(given) > 2e-3


def test_the_first_call_is_timed_apart():
    device, calls = PaperDevice(), []

    def slow_at_first():
        if not calls:
            time.sleep(0.02)  # a compiler
        calls.append(1)
        device.work()

    timing = cuda.time_calls(slow_at_first, RULE, device=device, board=PaperBoard(COOL))
    assert timing.first_call_seconds >= 0.02
    assert timing.warmup_seconds < 0.02
    assert max(timing.samples) < 1e-3


def test_host_seconds_stand_beside_device_seconds():
    device = PaperDevice()

    def slow_to_start():
        time.sleep(1e-3)
        device.work()

    timing = cuda.time_calls(slow_to_start, RULE, device=device, board=PaperBoard(COOL))
    assert len(timing.host_samples) == len(timing.samples)
    assert min(timing.host_samples) >= 1e-3
    assert max(timing.samples) == pytest.approx(WORK + COLD_EXTRA)


def test_throttled_samples_are_kept_and_marked():
    hot = Reading(1200, 85, 0x20)
    timing = timed(PaperDevice(), PaperBoard(COOL, hot, hot, COOL))
    assert timing.throttled == (False, True, True, False, False, False, False)
    assert timing.sm_clock_mhz == (1980, 1200, 1200, 1980, 1980, 1980, 1980)
    assert timing.temperature == (41, 85, 85, 41, 41, 41, 41)
    assert timing.busy == "the clock was throttled in 2 of 7 samples: software thermal limit"


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(0x0, False), (0x1, False), (0x2, False), (0x4, True), (0x8, True), (0x20, True), (0x40, True), (0x80, True)],
)
def test_idle_and_chosen_clocks_are_no_throttling(bits, expected):
    """The bits are NVML's (nvml.h, nvmlClocksEventReasons): 0x1 idle, 0x2 set by the user, the others hold down."""
    assert Reading(1000, 50, bits).throttled == expected


def test_neighbours_on_the_board_are_reported():
    assert timed(PaperDevice(), PaperBoard(COOL, others=2)).busy == "2 other processes had work on the board"


def test_a_board_that_says_nothing_leaves_blanks():
    timing = timed(PaperDevice(), SilentBoard())
    assert set(timing.sm_clock_mhz) == set(timing.temperature) == {None}
    assert timing.busy == ""


def test_a_graph_is_captured_once_and_replayed():
    device = PaperDevice()
    timing = timed(device, graph=True)
    assert (device.captured, timing.graph) == (1, True)


def test_sampling_stops_at_the_cap_and_keeps_outliers():
    device, calls = PaperDevice(), []

    def restless():
        calls.append(1)
        device.now += 1e-3 * (len(calls) % 5)
        device.work()

    timing = cuda.time_calls(restless, RULE, device=device, board=PaperBoard(COOL))
    assert (timing.stop, len(timing.samples)) == ("sample-cap", RULE.max_samples)
    assert max(timing.samples) == pytest.approx(4e-3 + WORK + COLD_EXTRA)


def test_nvml_answers_that_do_not_exist_become_blanks():
    """Some boards and drivers refuse single questions; that must not end a measurement."""

    class Refusing:
        NVMLError = type("NVMLError", (Exception,), {})
        NVML_CLOCK_SM = NVML_TEMPERATURE_GPU = 0

        def __getattr__(self, name):
            def refuse(*arguments):
                raise self.NVMLError

            return refuse

    board = cuda_board.NvmlBoard.__new__(cuda_board.NvmlBoard)
    board.nvml, board.handle = Refusing(), None
    assert board.read() == Reading(None, None, 0)
    assert board.others() == 0


def silent_nvml(**answers):
    """A board whose library knows these questions alone."""
    board = cuda_board.NvmlBoard.__new__(cuda_board.NvmlBoard)
    constants = {"NVMLError": RuntimeError, "NVML_CLOCK_SM": 1, "NVML_TEMPERATURE_GPU": 0}
    board.nvml, board.handle = SimpleNamespace(**constants, **answers), None
    return board


def test_a_library_that_lacks_a_question_leaves_a_blank():
    """The reasons of a lower clock have another name in older ones."""
    board = silent_nvml(nvmlDeviceGetClockInfo=lambda *asked: 1980, nvmlDeviceGetTemperature=lambda *asked: 40)
    assert board.read() == Reading(1980, 40, 0)


@pytest.mark.parametrize(("running", "others"), [((), 0), ((71,), 0), ((71, 72), 1)])
def test_a_process_of_ours_under_another_number_is_no_neighbour(running, others):
    """In a container NVML counts us by the host's number, which os.getpid does not give."""
    processes = [SimpleNamespace(pid=number) for number in running]
    assert silent_nvml(nvmlDeviceGetComputeRunningProcesses=lambda *asked: processes).others() == others


@pytest.fixture
def h100(monkeypatch):
    """What torch says of an H100's cache, and tensors for "cuda" where there is memory for them."""
    zeros, properties = torch.zeros, SimpleNamespace(L2_cache_size=50 << 20, uuid="0-1")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: properties)
    monkeypatch.setattr(torch, "zeros", lambda *sizes, device: zeros(*sizes))


def test_the_flush_reads_twice_what_the_cache_holds(h100, monkeypatch):
    """And writes four bytes: a written buffer would be written back while the clock runs."""
    device, read = TorchDevice(), []
    monkeypatch.setattr(torch, "sum", lambda tensor, dim, out: read.append((tensor.nbytes, out.nbytes)))
    device.flush()
    assert read == [(100 << 20, 4)]


def test_marks_that_a_kernel_left_in_the_cache_are_taken_off_before_the_flush_reads(h100, monkeypatch):
    """An ordinary read displaces ordinary lines first: the order is what makes the flush one."""
    device, done = TorchDevice(), []
    device.driver = SimpleNamespace(cuCtxResetPersistingL2Cache=lambda: done.append("unmark"))
    monkeypatch.setattr(torch, "sum", lambda tensor, dim, out: done.append("read"))
    device.flush()
    assert done == ["unmark", "read"]


def test_without_nvml_nothing_is_known_and_nothing_fails(h100, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)  # Python's mark of a module that cannot be imported
    assert isinstance(cuda_board.current(), SilentBoard)


@pytest.mark.cuda
@needs_gpu
def test_on_a_gpu_a_copy_takes_what_its_bytes_take():
    """A GiB read and a GiB written move at 0.1 to 10 TB/s on any GPU that runs this, and the ceiling says the same."""
    copy = cuda.ceilings(1 << 30).copy
    assert 1e11 < copy < 1e13
    source = torch.ones(1 << 26, device="cuda")
    target = torch.empty_like(source)
    for graph in (False, True):
        timing = cuda.time_calls(lambda: target.copy_(source), graph=graph)
        assert 2**29 / min(timing.samples) == pytest.approx(copy, rel=0.3)


@pytest.mark.cuda
@needs_gpu
def test_on_a_gpu_a_cold_cache_costs_more_than_a_warm_one():
    small = torch.ones(1 << 20, device="cuda")
    cold, warm = (min(cuda.time_calls(lambda: torch.sum(small), cold=cold).samples) for cold in (True, False))
    assert cold > warm
