"""The self-test of the loaders: its parts are kept side by side, and the page reads any of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from reports import loaders
from reports.site.pages.loading_selftest import reading, sections

RECORD = {
    "search": [
        {
            **{
                "dataset": "reads",
                "settings": 37,
                "product_seconds": 90.0,
                "search_seconds": 60.0,
                "share_of_time": 0.6,
            },
            **{"chosen": "num_workers=4", "best_of_product": "num_workers=4", "chosen_of_best": 0.99, "searches": 3},
            "runs": [{"of_best": 1.0}, {"of_best": 0.9}],  # the third search chose nothing
        }
    ],
    "budget": {"runs": [{}] * 20, "kept": 19},
    "bottlenecks": {"runs": [{}] * 40, "named": 39},
    "trainings": [{"training": "text", "error": -0.19}, {"training": "images", "error": 0.3}],
    "overhead": [
        {"dataset": "reads", "what": what, "workers": workers, "added": added, "epochs": 8, "epoch_seconds": 1.0}
        | {"added_low": 0.0, "added_high": 0.01}
        for what, workers, added in (("drive loop", 0, 0.004), ("observe", 0, -0.001), ("observe", 2, 0.006))
    ],
}


def test_the_reading_counts_what_reached_its_bar():
    """Within 5 and 20 percent; a search without an answer counts as one that missed."""
    assert reading(RECORD) == (
        "The search came within 5 % of the best rate in 1 of 3 runs; on reads the search reached 99 % of the best rate "
        "in 60 % of the time; it kept its budget in 19 of 20 runs; the drive loop adds 0.4 %; observe adds 0.6 %; "
        "observe named the planted bottleneck in 39 of 40 runs; its predicted gain was within 20 % of the measured one "
        "in 1 of 2 trainings."
    )


@pytest.mark.parametrize("name", RECORD)
def test_each_part_can_stand_alone(name):
    """A machine may have measured one of them."""
    record = {name: RECORD[name]}
    (section,) = sections(SimpleNamespace(results=SimpleNamespace(loader_tests={"machine": record})))
    assert len(section["reading"]) > 10
    assert len(section["search"].rows) + len(section["overhead"].rows) == {"search": 1, "overhead": 3}.get(name, 0)


def test_parts_are_measured_apart_and_kept(tmp_path, monkeypatch):
    """A second run of one part replaces its own results; the others stay as they are."""
    monkeypatch.setattr("lossimpl.machine.name", lambda: "here")
    monkeypatch.setattr(loaders, "measured", lambda part, datasets, count, runs: RECORD[part] if not count else [])
    path = tmp_path / "here" / loaders.RECORD

    def run(*arguments):
        app = loaders.typer.Typer()
        app.command()(loaders.loaders)
        result = CliRunner().invoke(app, [*arguments, "--results", str(tmp_path)])
        assert result.exit_code == 0, result.output
        return json.loads(Path(path).read_text())

    first = run()
    assert {name: first[name] for name in RECORD} == RECORD
    assert run("trainings")["trainings"] == RECORD["trainings"]
    assert run("search", "--runs", "1")["search"] == RECORD["search"]
