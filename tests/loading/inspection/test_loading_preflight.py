"""Pre-flight finds what would fail or mislead without running it, and names it by its path."""

from __future__ import annotations

import loading_faults
import pytest

from lossimpl.loading import SampleRNG, Workload, sample_generator
from lossimpl.loading.inspection.limits import of_settings
from lossimpl.loading.inspection.pickling import pickled_size, unpicklable
from lossimpl.loading.inspection.preflight import CHECKS
from lossimpl.loading.inspection.result import Cost, Machine
from lossimpl.loading.settings import Settings


def found(dataset, check):
    """What the findings of one kind say about a dataset."""
    return [one.what for look in CHECKS for one in look(Workload(dataset)) if one.check == check]


@pytest.mark.parametrize(
    ("check", "path"),
    [
        ("random generator", "dataset.rng"),
        ("open handle", "dataset.file"),
        ("open handle", "dataset.database"),
        ("lock", "dataset.lock"),
        ("copies", "dataset.names"),
    ],
)
def test_what_should_not_be_held_is_named_by_path(check, path):
    """Generators, handles, locks and long lists of objects."""
    holder = loading_faults.Holder()
    assert any(what.startswith(path) for what in found(holder, check))
    holder.file.close()
    holder.database.close()


def test_the_innermost_part_that_cannot_be_pickled_is_named():
    """Through attributes, dictionaries and lists."""
    holder = loading_faults.Good()
    holder.nested = {"transform": [lambda sample: sample]}
    path, reason = unpicklable(holder, "dataset")
    assert path == "dataset.nested['transform'][0]"
    assert "pickle" in reason


def test_a_good_dataset_has_no_findings():
    """No warning without a cause."""
    assert [one for look in CHECKS for one in look(Workload(loading_faults.Good()))] == []


def test_the_cure_travels_to_workers():
    """SampleRNG pickles, and a copy draws the same numbers."""
    assert pickled_size(SampleRNG(0)) is not None
    assert found(loading_faults.Noise("cure"), "pickle") == []
    assert SampleRNG(3)(5).random() == sample_generator(3, 0, 5).random()


@pytest.mark.parametrize(
    ("machine", "check"),
    [
        (Machine(1 << 20, 1024, 8, 1), "shared memory"),
        (Machine(1 << 40, 128, 8, 1), "open files"),
        (Machine(1 << 40, 1024, 2, 8), "threads"),
    ],
)
def test_needs_beyond_the_machine_are_predicted(machine, check):
    """4 workers, 2 batches ahead each, and one in the making: 12 batches of 1 MiB and 8 tensors."""
    settings, cost = Settings(num_workers=4), Cost(0.0, 0.0, 0.0, 0.0, tensors=8, bytes=1 << 20, samples=1)
    assert [one.check for one in of_settings(settings, cost, machine)] == [check]
    assert of_settings(settings, cost, Machine(12 << 20, 1024, 8, 1)) == []
