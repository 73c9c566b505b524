"""An observed loader is the loader: the same batches, the same random numbers, the same errors, nothing left behind."""

from __future__ import annotations

import gc
import multiprocessing
import random

import numpy as np
import observed_data as data
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

from lossimpl.loading import observe

SLOW = pytest.mark.slow
WORKERS = {"num_workers": 2}
KEPT = {"num_workers": 2, "persistent_workers": True}
LOADERS = [
    # dataset, arguments of the loader
    (data.Augmented, {}),
    (data.Augmented, {"shuffle": True}),
    (data.Augmented, {"batch_size": None}),
    (data.Augmented, WORKERS),
    (data.Augmented, {**WORKERS, "shuffle": True, "worker_init_fn": data.note_worker}),
    (data.Augmented, {**KEPT, "shuffle": True}),
    (data.Augmented, {**KEPT, "drop_last": True, "batch_size": 7, "prefetch_factor": 4}),
    pytest.param(data.Augmented, {**WORKERS, "multiprocessing_context": "spawn"}, marks=SLOW),
    pytest.param(data.Augmented, {**KEPT, "multiprocessing_context": "forkserver"}, marks=SLOW),
    (data.Stream, {}),
    (data.Stream, WORKERS),
    (data.Stream, KEPT),
]


@pytest.fixture(autouse=True)
def nothing_left():
    """No worker outlives its loader."""
    yield
    gc.collect()
    assert multiprocessing.active_children() == []


def made(dataset, **arguments):
    return DataLoader(dataset(), **{"batch_size": 8, **arguments})


def seed():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


def delivered(loader, consume):
    """What `consume` gets of the loader, and the states of the random generators afterwards."""
    seed()
    found = consume(loader)
    return found, (random.random(), np.random.rand(), torch.rand(()).item())


def assert_same(arguments, consume, dataset=data.Augmented):
    """The bytes that `consume` gets are those of the loader alone."""
    plain = delivered(made(dataset, **arguments), consume)
    observed = observe(made(dataset, **arguments), say=False)
    torch.testing.assert_close(delivered(observed, consume), plain, rtol=0, atol=0)
    return observed


def epochs(loader):
    """Two epochs."""
    return [list(loader), list(loader)]


def abandoned(loader):
    """An epoch that is left after three batches, then a whole one."""
    return [[batch for batch, _ in zip(loader, range(3), strict=False)], list(loader)]


def nested(loader):
    """An epoch inside an epoch, as in a validation inside of training."""
    return [(first, [*loader]) for first, _ in zip(loader, range(2), strict=False)]


def together(loader):
    """Two epochs at once."""
    return list(zip(loader, loader, strict=True))


def made_early(loader):
    """The iterator is made before a seed is set, which a worker's seed precedes."""
    iterator = iter(loader)
    torch.manual_seed(5)
    return list(iterator)


@pytest.mark.parametrize(("dataset", "arguments"), LOADERS)
def test_batches_are_those_of_the_loader_to_the_bit(dataset, arguments):
    """In two epochs, with every draw; and so are the generators afterwards."""
    observed = assert_same(arguments, epochs, dataset)
    batches = sum(len(epoch) for epoch in epochs(made(dataset, **arguments)))
    assert (observed.observation().steps, observed.observation().epochs) == (batches, 2)


@pytest.mark.parametrize("arguments", [{}, WORKERS, KEPT], ids=["alone", "workers", "kept"])
@pytest.mark.parametrize("consume", [abandoned, nested, together, made_early])
def test_any_way_to_iterate_gives_what_the_loader_gives(consume, arguments):
    """Left midway, one epoch inside another, two at once; torch restarts workers that are kept in each new epoch."""
    if consume is together and arguments is KEPT:
        pytest.skip("torch has one iterator for workers that are kept: two epochs at once share it")
    assert_same(arguments, consume)


@pytest.mark.parametrize("arguments", [{}, WORKERS, KEPT], ids=["alone", "workers", "kept"])
def test_an_epoch_that_goes_on_is_seen_so_far(arguments):
    """As where the iterator is kept: the report is asked for after three batches, and the epoch goes on afterwards."""
    observed = observe(made(data.Slow, **arguments), say=False)
    iterator = iter(observed)
    for _ in range(3):
        next(iterator)
    seen = observed.observation()
    assert (seen.steps, seen.causes.keys() & {"dataset", "start of epoch"} != set()) == (3, True)
    left = len(list(iterator))
    assert observed.observation().steps == 3 + left


class Generating(torch.utils.data.DataLoader):
    """A loader whose iterator is a generator around torch's, as that of accelerate."""

    def __iter__(self):
        yield from super().__iter__()


@pytest.mark.parametrize("arguments", [{}, WORKERS, KEPT], ids=["alone", "workers", "kept"])
def test_a_loader_that_is_a_generator_is_traced_too(arguments):
    """Its dataset is what is waited for, and afterwards the loader is as it was."""
    loader = Generating(data.Slow(), batch_size=8, **arguments)
    observed = observe(loader, say=False)
    assert len(list(observed)) == len(list(observed)) == len(loader)
    assert observed.observation().causes["dataset"] > 0
    assert loader.worker_init_fn is None


def test_the_loader_is_as_it_was():
    """Its functions and the dataset's transforms, also where an epoch was left midway or the dataset raised."""
    loader = made(data.Augmented, worker_init_fn=data.note_worker, **WORKERS)
    list(observe(loader, say=False))
    assert loader.worker_init_fn is data.note_worker
    alone = made(data.Slow)
    alone.dataset.fatal = 3
    with pytest.raises(KeyError, match="lost"):
        list(observe(alone, say=False))
    stream = made(data.Stream)
    list(observe(stream, say=False))
    assert "transform" not in vars(alone.dataset) | vars(stream.dataset)
    augmented = made(data.Augmented)
    list(observe(augmented, say=False))
    assert type(augmented.dataset.transform) is data.Layers
    assert augmented.dataset.transform.calls == data.COUNT


@pytest.mark.parametrize("arguments", [{}, WORKERS], ids=["alone", "workers"])
def test_an_error_of_the_dataset_is_the_users_to_see(arguments):
    """With its own type, and what came before is known."""
    loader = made(data.Slow, **arguments)
    loader.dataset.fatal = 20
    observed = observe(loader, say=False)
    with pytest.raises(KeyError, match="lost"):
        list(observed)
    assert observed.observation().steps == 2


def test_a_loader_has_one_record():
    """However often `observe` is called, as in each epoch; attributes and `len` are the loader's."""
    loader = made(data.Augmented)
    for _ in range(2):
        list(observe(loader, say=False))
    observed = observe(observe(loader), say=False)
    assert (observed.observation().epochs, len(observed), observed.dataset) == (2, 5, loader.dataset)
    assert observed.observation().settings.batch_size == 8


def test_any_iterable_can_be_observed():
    """Only the waits are known; one that gives nothing says so."""
    observed = observe((number for number in range(3)), say=False)
    assert list(observed) == [0, 1, 2]
    assert observed.observation().steps == 3
    nothing = observe([], say=False)
    assert list(nothing) == []
    assert str(nothing) == "Nothing was observed: no batch was taken from the loader."


def test_a_stateful_loader_resumes_as_without():
    """torchdata's: its state is the loader's own, and the rest of the epoch follows it."""
    torchdata = pytest.importorskip("torchdata.stateful_dataloader")

    def rest(watch):
        loader = torchdata.StatefulDataLoader(data.Augmented(), batch_size=8, num_workers=1)
        watched = watch(loader)
        seed()
        first = [batch[:, 0] for batch, _ in zip(watched, range(2), strict=False)]
        again = torchdata.StatefulDataLoader(data.Augmented(), batch_size=8, num_workers=1)
        again.load_state_dict(watched.state_dict())
        return first + [batch[:, 0] for batch in watch(again)]

    torch.testing.assert_close(rest(lambda one: observe(one, say=False)), rest(lambda one: one), rtol=0, atol=0)


def test_the_shards_of_a_distributed_sampler_stay_what_they_are():
    """Two replicas, with `set_epoch` through the observed loader's own attributes."""

    def shards(watch):
        found = []
        for rank in range(2):
            dataset = data.Augmented()
            sampler = DistributedSampler(dataset, num_replicas=2, rank=rank)
            loader = watch(DataLoader(dataset, batch_size=8, sampler=sampler))
            for epoch in range(2):
                loader.sampler.set_epoch(epoch)
                found.append([batch[:, 0] for batch in loader])
        return found

    torch.testing.assert_close(shards(lambda one: observe(one, say=False)), shards(lambda one: one), rtol=0, atol=0)


def test_a_replay_gives_cached_batches_and_measures_the_steps():
    """Four batches again and again; no random number is lost."""
    loader = made(data.Augmented)
    observed = observe(loader, say=False)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    replayed = list(observed.replay(10))
    assert torch.equal(torch.get_rng_state(), before)
    assert [id(batch) for batch in replayed[:4]] == [id(batch) for batch in replayed[4:8]]
    assert len(replayed) == 10
    assert observed.observation().ideal_step_seconds >= 0
