"""However a job ends, nothing of it is left: no process, no folder, no segment and no semaphore in shared memory.

The fixture `bench` looks for processes and segments, `place` for temporary files and named semaphores.
"""

from __future__ import annotations

import os
import tempfile

import pytest

from lossimpl.loading.bench import INSPECT
from lossimpl.loading.harness import launcher
from lossimpl.loading.settings import Settings

SLOW = pytest.mark.slow
ENDS = [
    # dataset, start method, status
    ("good", "fork", "ok"),
    ("death_sigkill", "fork", "crashed"),
    ("death_kill_parent", "fork", "crashed"),
    ("Litter", "fork", "ok"),
    ("init_hang", "fork", "timeout"),
    ("death_kill_group", "spawn", "crashed"),
    pytest.param("good", "spawn", "ok", marks=SLOW),
    pytest.param("good", "forkserver", "ok", marks=SLOW),
    pytest.param("death_sigkill", "spawn", "crashed", marks=SLOW),
    pytest.param("death_sigkill", "forkserver", "crashed", marks=SLOW),
    pytest.param("death_kill_group", "forkserver", "crashed", marks=SLOW),
    pytest.param("death_kill_parent", "spawn", "crashed", marks=SLOW),
    pytest.param("odd_hang", "spawn", "timeout", marks=SLOW),
    pytest.param("odd_hang", "forkserver", "timeout", marks=SLOW),
    pytest.param("LeavesThread", "fork", "timeout", marks=SLOW),
]


@pytest.mark.parametrize(("dataset", "method", "status"), ENDS)
def test_nothing_is_left_however_a_job_ends(bench, place, dataset, method, status):
    """Success, crash, a killed group with its resource tracker, a killed zygote, and the deadline."""
    settings = Settings(batch_size=8, num_workers=2, multiprocessing_context=method)
    row = bench(dataset, deadline=20.0 if method != "fork" and status != "timeout" else 4.0).measure(settings, 0.05)
    assert row.status == status, row
    assert os.listdir(place) == []


def test_a_job_has_its_temporary_files_in_its_own_folder(zygote, place):
    """What a dataset writes there lies in the folder that goes with the job."""
    outcome = zygote.run(
        {"task": INSPECT, "budget": 0.1, "dataset": "loading_faults:prints_its_place", "settings": {}}, 20.0
    )
    (line,) = [one for one in outcome.output.splitlines() if one.startswith("place: ")]
    assert line.startswith(f"place: {place}/lossimpl-")


def test_a_long_path_to_temporary_files_leaves_room_for_sockets(monkeypatch, tmp_path):
    """Beyond 48 characters `multiprocessing` could not bind its sockets in a job's folder; /tmp is taken then."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 20)))
    assert launcher.short_place() == "/tmp"
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    assert launcher.short_place() is None
