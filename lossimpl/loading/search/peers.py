"""Peers: other loaders over the same dataset with the same work per sample, driven by the same loop.

torchdata   StatefulDataLoader: a DataLoader whose place in an epoch can be saved and taken up again
webdataset  samples named in a tar file, read in a stream, each then made by the dataset
spdl        threads in a pipeline instead of worker processes

Each is imported only when asked for; where it is not installed, or fails to import, the row says so.
"""

from __future__ import annotations

import io
import itertools
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lossimpl.loading.bench import Bench, concluded
from lossimpl.loading.data.digest import digest
from lossimpl.loading.diagnosis.advice import diagnose
from lossimpl.loading.diagnosis.status import Diagnosis
from lossimpl.loading.harness.job import Events
from lossimpl.loading.settings import Settings
from lossimpl.loading.timing.task import time_loader
from lossimpl.loading.workload import Workload, is_iterable, length_of, loader_arguments, make

PEERS = ("torchdata", "webdataset", "spdl")
RESUME_BATCHES = 10
RESUMED_AFTER = 3  # batches


def measure(bench: Bench, peer: str, settings: Settings, budget: float) -> dict[str, Any]:
    """The line of a peer's loader with these settings; for torchdata, also whether an epoch can be resumed."""
    row = bench.time(replace(bench.blank(settings), kind="peer"), budget, f"{__name__}:{time_peer.__name__}", peer=peer)
    if peer != "torchdata" or row.status != "ok":
        return {**asdict(row), "peer": peer}
    outcome = bench.job(f"{__name__}:{resume.__name__}", settings, 0.0)
    found, fault = outcome.first("resume"), diagnose(outcome)
    if found and not found["same_length"]:
        fault = Diagnosis("wrong-data", "a resumed epoch has another length", "do not resume within an epoch")
    return {**asdict(concluded(row, fault)), "peer": peer, "resumed": found and found["restored"]}


def time_peer(job: Mapping[str, Any], events: Events) -> None:
    """The task: time a peer's loader, each batch of which is counted."""
    time_loader(job, events, partial(build, job["peer"]), lambda workload, settings: None)


@dataclass
class Epochs:
    """An iterable that starts a new epoch each time, as a loader does."""

    begin: Callable[[], Iterator[Any]]

    def __iter__(self) -> Iterator[Any]:
        return self.begin()


def build(peer: str, workload: Workload, settings: Settings, samples: int) -> Any:
    """A peer's loader over the dataset, with epochs of at most `samples` samples, in plain order."""
    if peer not in PEERS:
        raise ValueError(f"peer: expected one of {', '.join(PEERS)}, got {peer!r}")
    if peer == "torchdata":
        return stateful(workload, settings)
    length = length_of(workload.dataset)
    if is_iterable(workload.dataset) or length is None:
        raise TypeError(f"{peer}: expected a dataset with an index and a length, got {type(workload.dataset).__name__}")
    return {"webdataset": webdataset, "spdl": spdl}[peer](workload, settings, min(samples, length))


def stateful(workload: Workload, settings: Settings) -> Any:
    """torchdata's StatefulDataLoader with the same arguments."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    return StatefulDataLoader(workload.dataset, **loader_arguments(workload, settings))


@dataclass(frozen=True)
class Fetch:
    """Turns the entry of a tar file, named after an index, into the dataset's sample."""

    dataset: Any

    def __call__(self, entry: Mapping[str, Any]) -> Any:
        return self.dataset[int(entry["__key__"])]


def webdataset(workload: Workload, settings: Settings, count: int) -> Any:
    """webdataset over one tar file per worker; batches are made in the workers."""
    import webdataset as wds
    from torch.utils.data import default_collate

    folder = tempfile.TemporaryDirectory(prefix="lossimpl-")
    shards = write_shards(Path(folder.name), count, max(1, settings.num_workers))
    stream = wds.WebDataset(shards, shardshuffle=False, nodesplitter=wds.split_by_node)
    collate = workload.collate_fn or default_collate
    batches = stream.map(Fetch(workload.dataset)).batched(settings.batch_size, collation_fn=collate)
    loader = wds.WebLoader(batches, batch_size=None, num_workers=settings.num_workers)
    loader.folder = folder  # lives as long as the loader that reads from it
    return loader


def write_shards(folder: Path, count: int, shards: int) -> list[str]:
    """Tar files whose entries are named after the indices."""
    names = [str(folder / f"{number}.tar") for number in range(shards)]
    for number, name in enumerate(names):
        with tarfile.open(name, "w") as archive:
            for index in range(number, count, shards):
                archive.addfile(tarfile.TarInfo(f"{index}.index"), io.BytesIO())
    return names


def spdl(workload: Workload, settings: Settings, count: int) -> Any:
    """A pipeline of threads, as many as there would be workers, that yields batches in order."""
    from spdl import pipeline as spdl_pipeline
    from torch.utils.data import default_collate

    collate = workload.collate_fn or default_collate
    threads = max(1, settings.num_workers)

    def begin() -> Iterator[Any]:
        builder: Any = spdl_pipeline.PipelineBuilder()  # its stages change its type; of no use here
        builder = builder.add_source(range(count)).pipe(workload.dataset.__getitem__, concurrency=threads)
        builder = builder.aggregate(settings.batch_size).pipe(collate).add_sink(max(2, settings.prefetched))
        pipeline = builder.build(num_threads=threads)
        with pipeline.auto_stop():
            yield from pipeline

    return Epochs(begin)


def resume(job: Mapping[str, Any], events: Events) -> None:
    """The task: is an epoch of StatefulDataLoader the same when it is left after some batches and resumed?"""
    settings = Settings(**job["settings"])
    events.phase("build")
    workload = make(job["dataset"])
    events.phase("whole epoch")
    whole = [digest(batch) for batch in itertools.islice(stateful(workload, settings), RESUME_BATCHES)]
    events.phase("resume")
    first = stateful(make(job["dataset"]), settings)
    begun = iter(first)
    before = [digest(batch) for batch in itertools.islice(begun, RESUMED_AFTER)]
    second = stateful(make(job["dataset"]), settings)
    second.load_state_dict(first.state_dict())
    after = [digest(batch) for batch in itertools.islice(second, max(0, len(whole) - RESUMED_AFTER))]
    events("resume", restored=before + after == whole, same_length=len(before + after) == len(whole))
