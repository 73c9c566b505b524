"""Peers: other loaders over the same dataset with the same work per sample, driven by the same loop.

torchdata   StatefulDataLoader: a DataLoader whose place in an epoch can be saved and taken up again
webdataset  samples named in a tar file, read in a stream, each then made by the dataset
spdl        threads in a pipeline instead of worker processes

Each is imported only when asked for; where it is not installed, or breaks on import, the row says so.
"""

from __future__ import annotations

import io
import itertools
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import default_collate

from lossimpl.loading.beside import PEERS
from lossimpl.loading.digest import digest
from lossimpl.loading.job import Events
from lossimpl.loading.settings import Settings
from lossimpl.loading.workload import Workload, is_iterable, length_of, loader_arguments, make

RESUMED_AFTER = 3  # batches


@dataclass
class Epochs:
    """An iterable that begins anew each time, as a loader does."""

    begin: Callable[[], Iterator[Any]]

    def __iter__(self) -> Iterator[Any]:
        return self.begin()


def build(peer: str, workload: Workload, settings: Settings, samples: int | None) -> Any:
    """A peer's loader over the dataset, of `samples` samples an epoch, in their plain order."""
    if peer not in PEERS:
        raise ValueError(f"peer: expected one of {', '.join(PEERS)}, got {peer!r}")
    length = length_of(workload.dataset)
    if peer != "torchdata" and (is_iterable(workload.dataset) or length is None):
        raise TypeError(
            f"{peer}: takes datasets with an index and a length here, got {type(workload.dataset).__name__}"
        )
    count = length if samples is None or length is None else min(samples, length)
    if peer == "torchdata":
        return stateful(workload, settings)
    return {"webdataset": webdataset, "spdl": spdl}[peer](workload, settings, count or 0)


def stateful(workload: Workload, settings: Settings) -> Any:
    """torchdata's StatefulDataLoader with the same arguments."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    return StatefulDataLoader(workload.dataset, **loader_arguments(workload, settings))


@dataclass(frozen=True)
class Fetch:
    """From the entry of a tar file, which holds an index, to the dataset's sample."""

    dataset: Any

    def __call__(self, entry: Mapping[str, Any]) -> Any:
        return self.dataset[int(entry["__key__"])]


def webdataset(workload: Workload, settings: Settings, count: int) -> Any:
    """webdataset over a tar file for each worker; batches are made in the workers."""
    import webdataset as wds

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


def work(job: Mapping[str, Any], events: Events) -> None:
    """Is an epoch of StatefulDataLoader the same when it is left after some batches and taken up again?"""
    settings = Settings(**job["settings"])
    events.phase("build")
    workload = make(job["dataset"])
    events.phase("whole epoch")
    whole = [digest(batch) for batch in itertools.islice(stateful(workload, settings), int(job["batches"]))]
    events.phase("resume")
    first = stateful(make(job["dataset"]), settings)
    begun = iter(first)
    before = [digest(batch) for batch in itertools.islice(begun, RESUMED_AFTER)]
    state = first.state_dict()
    second = stateful(make(job["dataset"]), settings)
    second.load_state_dict(state)
    after = [digest(batch) for batch in itertools.islice(second, max(0, len(whole) - RESUMED_AFTER))]
    events(
        "resume", batches=len(whole), restored=before + after == whole, same_length=len(before + after) == len(whole)
    )
