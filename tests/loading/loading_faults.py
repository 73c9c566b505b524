"""Datasets that fail, each in one way: importable, so that every start method can send them to workers."""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import random
import resource
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import warnings

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from lossimpl.loading import SampleRNG, Workload

COUNT = 64
FATAL = 37  # the index at which a dataset fails, so that the first batches are good


class Good(Dataset):
    """64 distinct samples; what the faulty ones change."""

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        if not 0 <= index < COUNT:
            raise IndexError(index)
        if index == FATAL:
            self.fail()
        return torch.full((3,), float(index))

    def fail(self):
        """Called once an epoch."""


def failing(name, action):
    """A dataset class that does `action` at the fatal index; found under its name, so that it can be pickled."""
    globals()[name] = type(name, (Good,), {"fail": lambda self: action(), "__module__": __name__})
    return globals()[name]


def raising(error):
    """Raise `error`, as a function."""

    def act():
        raise error

    return act


class Refusal(Exception):
    """An exception that cannot be made from a message alone, as torch tries to."""

    def __init__(self, first, second):
        super().__init__(first, second)


def good():
    return Good()


def segfault():
    ctypes.string_at(0)


def wait_forever():
    threading.Event().wait()


def flood():
    for _ in range(20_000):
        print("x" * 100)


def close_descriptors():
    os.closerange(3, 1024)


def fork_and_stay():
    if os.fork() == 0:
        os.setsid()
        wait_forever()


def fork_and_go_on():
    os.fork()


def exhaust_memory():
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    np.ones(16 << 30, dtype=np.uint8)


def exhaust_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = [open(os.devnull) for _ in range(200)]  # noqa: SIM115  (held open on purpose)
    del held


class Speechless(Exception):
    """Cannot be turned into text."""

    def __str__(self):
        raise ValueError("no words")


class NotAnException(BaseException):
    """Passes every `except Exception`."""


def close_output():
    sys.stdout.close()
    sys.stderr.close()


def ignore_signals():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wait_forever()


def kill_group():
    os.killpg(0, signal.SIGKILL)


def disk_full():
    raise OSError(28, "No space left on device", "cache.bin")


def shared_memory_message():
    raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)")


def kill_parent():
    os.kill(os.getppid(), signal.SIGKILL)


def interrupt():
    raise KeyboardInterrupt


DEATHS = {
    "sigkill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "sigterm": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "abort": os.abort,
    "exit0": lambda: os._exit(0),
    "exit3": lambda: os._exit(3),
    "segfault": segfault,
    "kill_parent": kill_parent,
    "system_exit": lambda: sys.exit(2),
    "interrupt": interrupt,
    "kill_group": kill_group,
    "not_an_exception": raising(NotAnException("stop")),
}
ERRORS = {
    "value_error": raising(ValueError("bad pixel")),
    "index_error": raising(IndexError("no such sample")),
    "key_error": raising(KeyError("label")),
    "os_error": raising(FileNotFoundError(2, "No such file", "picture.png")),
    "refusal": raising(Refusal(1, 2)),
    "speechless": raising(Speechless()),
    "disk_full": disk_full,
    "recursion": raising(RecursionError("too deep")),
    "no_memory": exhaust_memory,
    "no_descriptors": exhaust_descriptors,
    "shared_memory": shared_memory_message,
}
ODDITIES = {
    "hang": wait_forever,
    "sleep": lambda: time.sleep(3600),
    "flood": flood,
    "close_output": close_output,
    "ignore_signals": ignore_signals,
    "close_descriptors": close_descriptors,
    "fork_and_stay": fork_and_stay,
    "fork_and_go_on": fork_and_go_on,
    "stop_iteration": raising(StopIteration()),
}


def __getattr__(name):
    """`loading_faults:death_sigkill` and so on: one factory for each action above."""
    for prefix, table in (("death_", DEATHS), ("error_", ERRORS), ("odd_", ODDITIES)):
        if name.startswith(prefix) and name.removeprefix(prefix) in table:
            return failing(name, table[name.removeprefix(prefix)])
    raise AttributeError(name)


class Samples(Dataset):
    """Samples made by a function of the index."""

    def __init__(self, make, length=COUNT):
        self.make, self.length = make, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if not 0 <= index < COUNT:
            raise IndexError(index)
        return self.make(index)


def empty():
    return Samples(float, 0)


def ragged():
    return Samples(lambda index: torch.ones(1 + index % 3))


def ragged_arrays():
    return Samples(lambda index: np.ones(1 + index % 3))


def ragged_lists():
    return Samples(lambda index: [0.0] * (1 + index % 3))


def none():
    return Samples(lambda index: None)


def sometimes_none():
    return Samples(lambda index: None if index == FATAL else torch.ones(3))


def drop_none(samples):
    return torch.utils.data.default_collate([sample for sample in samples if sample is not None])


def none_dropped():
    return Workload(sometimes_none(), collate_fn=drop_none)


def drifting_dtype():
    return Samples(lambda index: torch.ones(3, dtype=torch.float32 if index < FATAL else torch.float64) * index)


def drifting_numbers():
    return Samples(lambda index: index if index < FATAL else float(index))


def drifting_rank():
    return Samples(lambda index: torch.ones((3,) if index < FATAL else (3, 1)))


def drifting_keys():
    return Samples(lambda index: {"x": 1} if index < FATAL else {"y": 1})


def strange_type():
    return Samples(lambda index: object())


def length_too_long():
    return Samples(lambda index: torch.tensor(index), COUNT + 8)


def length_negative():
    return Samples(float, -1)


def length_fraction():
    return Samples(float, 2.5)


class Stream(IterableDataset):
    """Numbers in a row; each worker yields all of them."""

    def __iter__(self):
        return iter(torch.arange(float(COUNT)))


class ShardedStream(IterableDataset):
    """Each worker yields its own share."""

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(torch.arange(float(COUNT))[first::step])


class LyingStream(ShardedStream):
    """States a length that is not so."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length


class LosingStream(ShardedStream):
    """The last worker yields nothing."""

    def __iter__(self):
        info = get_worker_info()
        return iter(()) if info is not None and info.id == info.num_workers - 1 else super().__iter__()


class EmptyStream(IterableDataset):
    def __iter__(self):
        return iter(())


class EndlessStream(IterableDataset):
    def __iter__(self):
        while True:
            yield torch.ones(1)


class BadGenerator(IterableDataset):
    def __iter__(self):
        yield torch.ones(1)
        raise StopIteration


def lying_short():
    return LyingStream(COUNT - 8)


def lying_long():
    return LyingStream(COUNT + 8)


class Repeating(Good):
    """Workers deliver the sample of another index."""

    def __getitem__(self, index):
        return super().__getitem__(index if get_worker_info() is None else index // 2 * 2)


class Unpicklable(Good):
    """Holds a function that no process can be sent."""

    def __init__(self):
        self.transform = lambda sample: sample


class HangsInWorker(Good):
    def __init__(self):
        self.parent = os.getpid()

    def fail(self):
        if os.getpid() != self.parent:
            wait_forever()


class HangsAtExit(Good):
    def __init__(self):
        atexit.register(wait_forever)


class LeavesThread(Good):
    def __init__(self):
        threading.Thread(target=wait_forever, daemon=False).start()


class HangsInBuild(Good):
    def __init__(self):
        wait_forever()


class DiesInBuild(Good):
    def __init__(self):
        os._exit(7)


class RaisesInBuild(Good):
    def __init__(self):
        raise OSError("the archive is damaged")


class WorkerOnly(Good):
    """Works in workers only."""

    def __getitem__(self, index):
        assert get_worker_info() is not None, "only in a worker"
        return super().__getitem__(index)


def hang_in_init(worker):
    wait_forever()


def die_in_init(worker):
    os.kill(os.getpid(), signal.SIGKILL)


def raise_in_init(worker):
    raise ValueError(f"no device for worker {worker}")


def init_hang():
    return Workload(Good(), worker_init_fn=hang_in_init)


def init_death():
    return Workload(Good(), worker_init_fn=die_in_init)


def init_error():
    return Workload(Good(), worker_init_fn=raise_in_init)


def hang_in_collate(samples):
    wait_forever()


def raise_in_collate(samples):
    raise TypeError("cannot join these")


def collate_hang():
    return Workload(Good(), collate_fn=hang_in_collate)


def collate_error():
    return Workload(Good(), collate_fn=raise_in_collate)


def with_sampler():
    return Workload(Good(), sampler=range(COUNT))


def with_batch_sampler():
    return Workload(Good(), batch_sampler=[[0, 1], [2, 3]])


def both_samplers():
    return Workload(Good(), sampler=range(COUNT), batch_sampler=[[0, 1], [2, 3]])


def sampler_beyond():
    return Workload(Good(), sampler=[0, 1, COUNT])


def bad_sampler():
    return Workload(Good(), sampler=7)


def not_a_dataset():
    return 42


def needs_argument(path):
    return Good()


class Noise(Good):
    """Adds draws from one of the usual generators, which belong to the worker."""

    def __init__(self, kind):
        self.kind = kind
        self.held = np.random.default_rng(0)
        self.cure = SampleRNG(0)

    def __getitem__(self, index):
        draws = {
            "torch": lambda: float(torch.rand(())),
            "numpy": np.random.random,
            "random": random.random,
            "held": self.held.random,
            "unseeded": lambda: np.random.default_rng().random(),
            "cure": lambda: self.cure(index).random(),
        }
        return super().__getitem__(index), draws[self.kind]()


def noise_torch():
    return Noise("torch")


def noise_numpy():
    return Noise("numpy")


def noise_random():
    return Noise("random")


def noise_held():
    return Noise("held")


def noise_unseeded():
    return Noise("unseeded")


def noise_cure():
    dataset = Noise("cure")
    return Workload(dataset, set_epoch=dataset.cure.set_epoch)


class Jitter(Good):
    """Samples whose cost varies from call to call, so that workers overtake each other."""

    def __getitem__(self, index):
        time.sleep(random.SystemRandom().random() * 0.004)
        return super().__getitem__(index)


class Holder(Good):
    """Holds what should not be held when workers start."""

    def __init__(self):
        self.file = tempfile.TemporaryFile()  # noqa: SIM115  (held open on purpose)
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.lock = threading.Lock()
        self.rng = np.random.default_rng(0)
        self.nested = {"transform": [lambda sample: sample]}
        self.names = [str(number) for number in range(150_000)]


def forgotten_epoch():
    """As people write it under torchrun, but nobody calls `set_epoch`."""
    return Workload(Good(), sampler=torch.utils.data.DistributedSampler(Good(), shuffle=True))


def not_sharded():
    """Every rank reads everything."""
    return Workload(Good(), sampler=range(COUNT))


def unsendable(samples):
    return (sample for sample in samples)


def collate_unsendable():
    return Workload(Good(), collate_fn=unsendable)


def init_arity():
    return Workload(Good(), worker_init_fn=not_a_dataset)


def empty_batch():
    return Workload(Good(), batch_sampler=[[0, 1], []])


class NoIterator(IterableDataset):
    def __iter__(self):
        return 42


class LengthRaises(Good):
    def __len__(self):
        raise OSError("the index is gone")


class ShortWorkers(Good):
    """In workers the dataset claims another length, and an item that is never asked for fails."""

    def __getitem__(self, index):
        if get_worker_info() is not None and index >= COUNT // 2:
            raise StopIteration
        return super().__getitem__(index)


class Litter(Good):
    """Leaves temporary files wherever it runs."""

    def __getitem__(self, index):
        tempfile.mkdtemp(prefix="litter-")
        return super().__getitem__(index)


def prints_its_place():
    print("place:", tempfile.gettempdir(), flush=True)
    return Good()


class ReadsInput(Good):
    def fail(self):
        input("which one? ")


class OfAGraph(Good):
    """Samples that autograd follows: they cannot leave a process."""

    def __getitem__(self, index):
        return torch.ones(3, requires_grad=True) * super().__getitem__(index)


class HoldsLock(Good):
    """A thread holds a lock when workers are forked, and in them nobody ever releases it."""

    def __init__(self):
        self.lock, self.parent, held = threading.Lock(), os.getpid(), threading.Event()
        threading.Thread(target=lambda: (self.lock.acquire(), held.set(), wait_forever()), daemon=True).start()
        held.wait()

    def __getitem__(self, index):
        if os.getpid() != self.parent:
            with self.lock:
                pass
        return super().__getitem__(index)


class SharedHandle(Good):
    """One open file, whose position all workers share."""

    def __init__(self):
        self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (held open on purpose)
        self.file.write(bytes(range(2 * COUNT)))  # so that there is something wherever the position stands

    def __getitem__(self, index):
        self.file.seek(super().__getitem__(index).int()[0])
        time.sleep(0.002)
        return self.file.read(1)[0]


class LengthChanges(Good):
    """One less each time that it is asked."""

    length = COUNT

    def __len__(self):
        self.length -= 1
        return self.length


class LengthRaisesOverflow(Good):
    def __len__(self):
        return 2**70


class Warns(Good):
    def __getitem__(self, index):
        warnings.warn(f"sample {index}", stacklevel=1)
        return super().__getitem__(index)


class Children(Good):
    """A worker is a daemon and may have none."""

    def fail(self):
        multiprocessing.Process(target=print).start()


class LyingSampler:
    """States a length that is not so."""

    def __iter__(self):
        return iter(range(COUNT))

    def __len__(self):
        return COUNT + 9


class RaisingSampler(LyingSampler):
    def __iter__(self):
        yield from range(8)
        raise RuntimeError("the sampler broke")


class DiesInWorker(IterableDataset):
    def __iter__(self):
        yield from torch.arange(5.0)
        os._exit(0)


class NoShards(IterableDataset):
    def __iter__(self):
        raise ValueError("no shards")


def sampler_lying():
    return Workload(Good(), sampler=LyingSampler())


def sampler_raising():
    return Workload(Good(), sampler=RaisingSampler())


def batch_beyond():
    return Workload(Good(), batch_sampler=[[0, 1], [COUNT + 5]])


def batches_flat():
    return Workload(Good(), batch_sampler=[0, 1])


def sparse():
    return Samples(lambda index: torch.eye(3).to_sparse() * index)


def on_cuda():
    return Samples(lambda index: torch.ones(3, device="cuda"))


def a_class():
    return Good


def a_generator():
    return (torch.ones(1) for _ in range(COUNT))


def a_list():
    return [torch.ones(2) * number for number in range(COUNT)]


def exit_in_init(worker):
    os._exit(5)


def init_exit():
    return Workload(Good(), worker_init_fn=exit_in_init)


def not_callable():
    return Workload(Good(), collate_fn=3)


def epoch_raises():
    def set_epoch(epoch):
        raise RuntimeError("no such epoch")

    return Workload(Good(), set_epoch=set_epoch)


class Reused(Good):
    """Returns views of one buffer, which the next sample overwrites."""

    def __init__(self, wrap=torch.from_numpy):
        self.buffer, self.wrap = np.zeros(3, dtype=np.float32), wrap

    def __getitem__(self, index):
        self.buffer[:] = super().__getitem__(index).numpy()
        return self.wrap(self.buffer)


class ReusedDict(Good):
    """Fills the same dictionary again."""

    def __init__(self):
        self.sample = {}

    def __getitem__(self, index):
        self.sample["x"] = super().__getitem__(index)
        return self.sample


class OneShot(IterableDataset):
    """Every epoch asks the same generator."""

    def __init__(self):
        self.samples = (torch.tensor(float(index)) for index in range(192))

    def __iter__(self):
        return self.samples


class OneShotQueue(IterableDataset):
    """What was read is gone, though each epoch has an iterator of its own."""

    def __init__(self):
        self.left = list(range(192))

    def __iter__(self):
        while self.left:
            yield torch.tensor(float(self.left.pop(0)))


class LargeOneShot(OneShot):
    """The same with more samples than a verdict reads."""

    def __init__(self):
        self.samples = (torch.tensor(float(index)) for index in range(1_000_000))


def seed_alike(worker):
    np.random.seed(7)


def seed_by_worker(worker):
    random.seed(worker)


def seeded_alike():
    return Workload(Noise("numpy"), worker_init_fn=seed_alike)


def seeded_by_worker():
    """Other numbers for each worker, but the same in every epoch."""
    return Workload(Noise("random"), worker_init_fn=seed_by_worker)


class SelfSeeded(IterableDataset):
    """Seeds in `__iter__`, which each worker calls."""

    def __iter__(self):
        generator = np.random.default_rng(3)
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        for index in range(first, COUNT, step):
            yield torch.tensor(index + generator.random())


class Epochs(Good):
    """Depends on an epoch that only its own copy hears of."""

    epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, index):
        return super().__getitem__(index) + 1000 * self.epoch


class InPlace(Good):
    """Scales its own data each time that it is read."""

    def __init__(self):
        self.data = torch.arange(1.0, COUNT + 1)

    def __getitem__(self, index):
        if not 0 <= index < COUNT:
            raise IndexError(index)
        self.data[index] *= 0.5
        return self.data[index].clone()


def rare_keys():
    return Samples(lambda index: {"x": index, "box": index} if index % 8 == 1 else {"x": index})


def rare_keys_joined():
    return Workload(rare_keys(), collate_fn=list)


def nothing(samples):
    return None


def sometimes_nothing(samples):
    return None if FATAL in samples else torch.utils.data.default_collate(samples)


def empty_list(samples):
    return []


def collate_none():
    return Workload(Good(), collate_fn=nothing)


def collate_sometimes_none():
    return Workload(Samples(int), collate_fn=sometimes_nothing)


def collate_empty():
    return Workload(Good(), collate_fn=empty_list)


BATCH = torch.zeros(8, 3)


def one_batch(samples):
    return torch.stack(samples, out=BATCH)


def collate_reused():
    return Workload(Good(), collate_fn=one_batch)


def strings():
    return Samples(lambda index: np.str_("a" * (1 + index % 5)))


def string_arrays():
    return Workload(Samples(lambda index: np.array(["a" * (1 + index % 5)])), collate_fn=list)


def mixed_integers():
    return Samples(lambda index: index if index % 2 else np.int64(index))


def mixed_floats():
    return Samples(lambda index: float(index) if index % 3 else np.float64(index))


class Columns(Good):
    """Fetches a batch as columns."""

    def __getitems__(self, indices):
        return {"x": [float(index) for index in indices], "y": list(indices)}


def same(samples):
    return samples


def columns():
    return Columns()


def columns_joined():
    return Workload(Columns(), collate_fn=same)


class Rows(Good):
    """Fetches a batch as one tensor."""

    def __getitems__(self, indices):
        return torch.tensor([[float(index)] for index in indices])


def rows_joined():
    return Workload(Rows(), collate_fn=same)


class ShortMap(Good):
    """A memory-mapped file that has become shorter."""

    def __init__(self):
        self.path = os.path.join(tempfile.gettempdir(), "short.bin")
        np.zeros(COUNT * 4096, dtype=np.uint8).tofile(self.path)
        self.data = np.memmap(self.path, mode="r")
        os.truncate(self.path, 8 * 4096)

    def __getitem__(self, index):
        if not 0 <= index < COUNT:
            raise IndexError(index)
        return int(self.data[index * 4096])


class LeaksFiles(Good):
    """Opens a file for each sample and keeps it, until none can be opened."""

    def __init__(self, limit=64):
        self.files, self.limit = [], limit

    def __getitem__(self, index):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.limit, self.limit))
        self.files.append(open(os.devnull))  # noqa: SIM115  (held open on purpose)
        return super().__getitem__(index)


class KeepsFiles(LeaksFiles):
    """The same in a dataset so large that only its beginning is measured."""

    def __init__(self):
        self.files = []

    def __len__(self):
        return 1_000_000

    def __getitem__(self, index):
        time.sleep(0.002)  # so that the budget ends before the limit of this process
        if len(self.files) < 400:
            self.files.append(open(os.devnull))  # noqa: SIM115  (held open on purpose)
        return torch.full((3,), float(index))


class KeepsSamples(KeepsFiles):
    """A cache that never forgets."""

    def __getitem__(self, index):
        time.sleep(0.002)
        if len(self.files) < 400:
            self.files.append(np.ones(1 << 17))
        return torch.full((3,), float(index))


class LoaderInside(Good):
    """Reads each sample with a loader of its own."""

    def __getitem__(self, index):
        inner = torch.utils.data.DataLoader(Good(), batch_size=4, num_workers=1)
        return next(iter(inner))[0] + super().__getitem__(index)


class Raises:
    """Raises whenever it is looked at."""

    @property
    def __class__(self):
        raise RuntimeError("do not look")


class Secretive:
    def __getattribute__(self, name):
        raise RuntimeError("do not look")


class Odd(Good):
    """Holds objects that cannot be looked at, and one that is other each time."""

    def __init__(self):
        self.raises, self.secretive = Raises(), Secretive()
        self.rng = np.random.default_rng(0)

    @property
    def other(self):
        return Odd()

    def __getitem__(self, index):
        return super().__getitem__(index)


class Markup(Good):
    def fail(self):
        raise ValueError("[bold]not markup[/] :fire: [/red]")


class ChangesFolder(Good):
    def __init__(self):
        os.chdir("/")


class InstallsHandlers(Good):
    def __init__(self):
        for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)


class HangsWithHandlers(InstallsHandlers):
    def fail(self):
        wait_forever()


def exits():
    sys.exit("goodbye")


class SlowSamples(Good):
    def __getitem__(self, index):
        time.sleep(1.0)
        return super().__getitem__(index)


class SlowBuild(Good):
    def __init__(self):
        time.sleep(30.0)


class Late(Good):
    """The later samples cost more."""

    def __len__(self):
        return 100_000

    def __getitem__(self, index):
        time.sleep(0.05 if index > 40_000 else 0.0)
        return torch.full((3,), float(index))


class StreamWithLength(Stream):
    """Not divided among workers; its length is right without them."""

    def __len__(self):
        return COUNT


def stream_with_length():
    return StreamWithLength()
