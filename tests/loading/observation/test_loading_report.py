"""What an observation says: three lines, JSON from which a search starts, a page; and the planted bottlenecks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import observed_data as data
import pytest
from torch.utils.data import DataLoader
from typer.testing import CliRunner

from lossimpl import cli
from lossimpl.loading import observe
from lossimpl.loading.observation import timeline
from lossimpl.loading.observation.start import start_from
from lossimpl.loading.selftest import bottlenecks
from lossimpl.loading.settings import Settings

PROGRAM = """
import sys, torch
from torch.utils.data import DataLoader, DistributedSampler
sys.path.insert(0, {folder!r})
import observed_data as data
from lossimpl.loading import observe
torch.distributed.init_process_group("gloo")
dataset = data.Slow(0.002)
loader = DataLoader(dataset, batch_size=4, sampler=DistributedSampler(dataset), num_workers=1)
for batch in observe(loader):
    pass
observe(loader).to_json({path!r})
"""


@pytest.fixture(scope="module")
def waiting():
    """40 samples of 5 ms in a loop whose step takes nothing, observed without workers, twice."""
    observed = observe(DataLoader(data.Slow(0.005), batch_size=8), say=False)
    for _ in range(2):
        for _batch in observed:
            pass
    return observed


def test_three_lines_say_what_loading_costs_and_what_to_try(waiting):
    """All of the time is waiting, most of it for the transform, and workers would help."""
    cost, advice, gain = waiting.report().splitlines()
    assert cost.startswith("Loading costs ")
    assert "most of it for the transform (" in cost
    assert "Try num_workers=" in advice
    assert "steps/s now, at most" in gain
    assert waiting.observation().stall_fraction > 0.95


def test_the_numbers_add_up(waiting):
    """Ten steps of which each waits for 8 samples of 5 ms; the causes make up all of the waiting."""
    found = waiting.observation()
    assert (found.steps, found.epochs, len(found.waits)) == (10, 2, 10)
    assert found.wait_seconds >= 0.04
    assert sum(found.causes.values()) == pytest.approx(found.wait_seconds * found.steps, rel=0.01)
    assert found.memory_bytes > 0


def test_a_search_starts_from_what_was_observed(waiting, tmp_path):
    """From the settings, the step, and what was suggested; of several ranks from the one that waits most."""
    path = tmp_path / "observed.json"
    record = json.loads(waiting.to_json(path))
    assert json.loads(path.read_text()) == record
    (tmp_path / "idle.json").write_text(json.dumps({**record, "stall_fraction": 0.0, "settings": {"batch_size": 1}}))
    start = start_from([tmp_path / "idle.json", path])
    suggested = Settings(**{"batch_size": 8, **record["suggestions"][0]})
    assert (start.base, start.first) == (Settings(batch_size=8), (Settings(batch_size=8), suggested))
    assert start.step == record["step_seconds"]
    assert suggested.num_workers > 0


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "summary"}', '{"kind": "observation", "step_seconds": null}'])
def test_a_file_that_is_no_observation_is_refused(tmp_path, text):
    """With exit code 2 and its name, before anything is measured."""
    path = tmp_path / "other.json"
    path.write_text(text)
    result = CliRunner().invoke(cli.assemble(), ["loaders", "--dataset", "digits", "--from", str(path)])
    assert (result.exit_code, "other.json" in "".join(result.output.split())) == (2, True)


def test_the_page_needs_nothing_else(waiting, tmp_path):
    """The three lines and a table of causes; nothing is loaded, and a dataset's name is no markup."""
    text = waiting.to_html(tmp_path / "observed.html")
    assert (tmp_path / "observed.html").read_text() == text
    assert all(word in text for word in ("Loading costs", "the transform", "<svg", "observed_data.Slow"))
    assert "http" not in text
    waiting.record.dataset = "<script>"
    assert "&lt;script&gt;" in waiting.to_html()
    assert "<script>" not in waiting.to_html()


def test_the_lines_come_at_the_end_of_a_program():
    """On stderr, once; not where they were printed before, and not with `say=False`."""

    def said(rest):
        program = f"from lossimpl.loading import observe\nloader = observe([1], {rest}\nlist(loader)\n"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return done.stdout.count("Loading costs"), done.stderr.count("Loading costs")

    assert said("say=True)") == (0, 1)
    assert said("say=False)") == (0, 0)
    program = "from lossimpl.loading import observe\nloader = observe([1])\nlist(loader)\nprint(loader)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout.count("Loading costs"), done.stderr.count("Loading costs")) == (1, 0)


@pytest.mark.slow
def test_each_rank_under_torchrun_has_a_file_of_its_own(tmp_path):
    """Two ranks with DistributedSampler: five steps each, the lines once."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(folder=str(Path(__file__).parent), path=str(tmp_path / "observed.json")))
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = [json.loads((tmp_path / f"observed-rank{rank}.json").read_text()) for rank in range(2)]
    assert [(one["rank"], one["world"], one["steps"]) for one in records] == [(0, 2, 5), (1, 2, 5)]
    assert done.stderr.count("Loading costs") == 1


QUICK = ("slow transform", "big samples between processes", "slow consumer")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in bottlenecks.PLANTS]
)
def test_a_planted_bottleneck_is_named(name):
    """One run of each; `python -m reports loaders bottlenecks` makes 40."""
    found = bottlenecks.one_plant(name, seed=0)
    assert found["named"] == found["expected"], found


def test_workers_that_were_not_traced_are_reported_as_such():
    """Observed only after they had started: the waits are known, the causes are not."""
    loader = DataLoader(data.Slow(0.002), batch_size=8, num_workers=1, persistent_workers=True)
    list(loader)
    observed = observe(loader, say=False)
    list(observed)
    assert set(observed.observation().causes) <= {timeline.LOADER, timeline.START}
    assert "begin to observe before the workers start" in observed.report()
