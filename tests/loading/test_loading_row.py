"""The loading row: what a line of JSON holds stays as it was stored, and becomes the row again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from lossimpl.loading.row import Row
from lossimpl.loading.search.measured import Measured
from lossimpl.loading.settings import Settings

STORED = sorted(Path(__file__).parents[2].glob("results/*/*.rows.jsonl"))
STARTED = {"benchmark", "params", "manifest", "started_at", "session"}  # what benchmarks and sweeps add to each row


def stored_rows():
    """Every committed loading row."""
    lines = (json.loads(line) for path in STORED for line in path.read_text().splitlines())
    return [line for line in lines if "scenario" in line]


def test_a_row_has_all_names_of_committed_rows():
    """Pages and the gate read committed rows by these names; later rows have four more."""
    added = {"length", "epoch_samples", "warnings", "cut"}
    names = {frozenset(row) - STARTED - added for row in stored_rows()}
    assert names == {frozenset(asdict(Row("digits", {}))) - added}


def test_a_committed_row_is_read_and_written_unchanged():
    """As JSON: lists come back as lists."""
    for row in stored_rows()[:8]:
        own = {name: value for name, value in row.items() if name not in STARTED}
        read = Row.from_record(row)
        assert json.loads(json.dumps(asdict(read))).items() >= own.items()
        assert read.settings == Settings(**row["scenario"])


def test_a_row_of_a_search_adds_its_key_its_budget_and_its_rounds():
    """The first two as committed files of `lossimpl loaders` have them."""
    assert set(asdict(Measured("digits", {}))) - set(asdict(Row("digits", {}))) == {"key", "budget", "number", "rounds"}


def test_only_rows_that_are_ok_have_a_rate_to_rank():
    """A failed row may have numbers from before its failure."""
    assert Row("digits", {}, epoch_rate=5.0).ranked_rate == 5.0
    assert Row("digits", {}, epoch_rate=5.0, status="wrong-data").ranked_rate == 0.0
    assert Row("digits", {}).ranked_rate == 0.0
