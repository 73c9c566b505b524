"""What the inspection of a dataset finds, and how it arrives where it is used."""

from __future__ import annotations

import pytest

from lossimpl.loading import Workload
from lossimpl.loading.harness.launcher import Outcome
from lossimpl.loading.inspection import stages
from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.settings import Settings
from lossimpl.loading.validity import Facts


def test_an_inspection_of_a_sound_dataset_is_complete(bench):
    """64 samples of 3 float32 in batches of 8: one tensor of 96 bytes per batch."""
    seen = bench("good").inspect(Settings(batch_size=8))
    assert (seen.built, seen.facts, seen.files, seen.obstacles) == (True, Facts(length=64), 0, ())
    assert seen.has == {"collate_fn": False, "worker_init_fn": False, "sampler": False}
    assert (seen.cost.tensors, seen.cost.bytes) == (1, 96)
    assert seen.machine.cores >= 1
    assert seen.between > 0
    assert seen.outcome.phase == "exit"


def test_findings_and_obstacles_survive_what_comes_after_them(bench):
    """The samples cannot be collated, so the job fails; what was found before stays."""
    seen = bench("loading_samples:sample_date").inspect(Settings(batch_size=8))
    assert (seen.built, seen.cost, seen.outcome.phase) == (True, None, "collate")
    (obstacle,) = seen.obstacles
    assert (obstacle.path, obstacle.number, obstacle.what) == ("[0]", 0, "an object of type date")
    assert bench("noise_held").inspect(Settings(batch_size=8)).findings[0].check == "random generator"


def test_a_dataset_that_cannot_be_built_has_an_empty_inspection(bench):
    """Only the outcome says why."""
    seen = bench("RaisesInBuild").inspect(Settings(batch_size=8))
    assert (seen.built, seen.facts, seen.machine, seen.cost) == (False, Facts(), None, None)
    assert seen.outcome.phase == "build"


def test_stages_that_settings_leave_out_have_no_seconds():
    """Between processes only with workers; pinning only with pin_memory."""
    cost = {"sample_seconds": 1.0, "dataset": 2.0, "transform": 3.0, "collate": 4.0}
    cost |= {"tensors": 1, "bytes": 8, "samples": 1}
    copy = {"pin": 6.0, "pinned": 7.0, "pageable": 8.0}
    seen = Inspection.of(Outcome(({"event": "found", "at": 0.0, "cost": cost, "between": 5.0, "copy": copy},)))
    names = ("dataset", "transform", "collate", "between", "pin", "copy")
    alone, pinned = seen.attribution(Settings()), seen.attribution(Settings(num_workers=1, pin_memory=True))
    assert alone == dict(zip(names, (2.0, 3.0, 4.0, None, None, 8.0), strict=True))
    assert pinned == dict(zip(names, (2.0, 3.0, 4.0, 5.0, 6.0, 7.0), strict=True))
    assert (seen.sample_seconds, Inspection(Outcome()).sample_seconds) == (1.0, 1e-3)


def test_samples_are_numbered_as_in_an_epoch():
    """The first one warms up and is kept; a dataset of three that is read again has no fourth; the mean is of all."""
    gathered = stages.gather(Workload([1.0, 2.0, 3.0]), 0.001)
    assert gathered.samples[:5] == [1.0, 2.0, 3.0, 1.0, 2.0]
    assert [one.number for one in gathered.timed[:4]] == [1, 2, 0, 1]
    taken = [stages.Taken(0, 1.0, 0.1), stages.Taken(1, 2.0, 0.5), stages.Taken(2, 3.0, 0.3), stages.Taken(1, 2.0, 0.3)]
    cost = stages.probe(stages.Gathered([1.0, 2.0], taken, 0.0), Workload([1.0]), Settings(batch_size=2), 0.0).cost
    assert (cost.slowest, cost.sample_seconds, cost.samples) == (((1, 0.5), (2, 0.3), (0, 0.1)), pytest.approx(0.3), 4)
    assert stages.gather(Workload([]), 0.001).samples == []
