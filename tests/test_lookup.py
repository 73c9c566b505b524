"""Rows found by their ids: where they are looked for, what several rows of one id are, what `compare` keeps."""

import json

import pytest
from test_comparison import CASE, Script
from typer.testing import CliRunner

from lossimpl import cli, comparison, identity, lookup

ROW = {"implementation": "torch", "loss": "mse_loss", "session": "s"}
NAME = "0123abcd-env.rows.jsonl"


@pytest.fixture
def results(tmp_path):
    """Two machines with one row each, and a file that is cut short."""
    for machine in ("one", "two"):
        (tmp_path / machine).mkdir()
        (tmp_path / machine / NAME).write_text(json.dumps(ROW) + "\n")
    (tmp_path / "two" / "89abcdef-env.rows.jsonl").write_text(json.dumps(ROW) + '\n{"implementation": ')
    return tmp_path


def test_a_folder_is_read_whole(results):
    """Three rows with three ids; the broken line is named with its number."""
    found = lookup.found_in(results)
    assert [(one.placed["machine"], one.placed["commit"]) for one in found.entries] == [
        *(("one", "0123abcd"), ("two", "0123abcd"), ("two", "89abcdef")),
    ]
    assert len({one.id for one in found.entries}) == 3
    (problem,) = found.problems
    assert "89abcdef-env.rows.jsonl, line 2: Expecting value" in problem


def test_a_row_may_lie_anywhere_once_it_says_its_place(results):
    """A row with machine and commit keeps its id in another folder, in a JSON list, and among others."""
    row = identity.identified(ROW | {"machine": "one", "commit": "0123abcd" * 5})
    (results / "downloaded.json").write_text(json.dumps([{"note": "no row"}, row]))
    (entry,) = lookup.found_in(results / "downloaded.json").entries
    assert (entry.id, entry.number, entry.fault) == (row["id"], 2, "")
    assert entry.id == lookup.found_in(results / "one").entries[0].id


def test_the_first_digits_suffice_and_copies_are_one_row(results):
    """Four digits find the row; the same row in two files is one, another content under the same id is a second."""
    entries = lookup.found_in(results / "one").entries
    assert [one.id for one in lookup.matching(entries[0].id[:4], [*entries, *entries])] == [entries[0].id]
    changed = lookup.Entry(entries[0].record | {"id": entries[0].id, "status": "ok"}, entries[0].file, 2)
    assert len(lookup.matching(entries[0].id, [*entries, changed])) == 2


def test_two_rows_of_one_id_are_named(results):
    """Exit code 2 with both places; nothing is measured."""
    path = results / "one" / NAME
    path.write_text(json.dumps(ROW) + "\n" + json.dumps(ROW | {"status": "ok"}) + "\n")
    first, second = lookup.found_in(path).entries
    assert first.id == second.id
    result = CliRunner().invoke(cli.assemble(), ["replay", first.id, "--in", str(path)])
    assert result.exit_code == 2
    said = "".join(result.output.replace("│", "").split())
    assert "2rowshavethisid" in said
    assert f"{NAME},row1" in said
    assert f"{NAME},row2" in said


def test_what_compare_measured_is_found_by_its_id(tmp_path, monkeypatch):
    """With its manifest, and by the id that the table shows; the oldest comparisons make room."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(lookup, "KEPT", 1)
    for _ in range(2):
        rows = comparison.measured(Script({"torch": 1e-3, "native": 2e-3}), CASE, ["torch", "native"])
        found = comparison.finished(CASE, rows)
    entries = lookup.found_in(lookup.kept()).entries
    assert {one.record["implementation"]: one.id for one in entries} == found.ids
    assert all(one in repr(found) for one in found.ids.values())
    assert [one["id"] for one in found.to_records()] == [*found.ids.values()]
    assert len(lookup.manifests(entries[0].file)) == 1
    assert {one.fault for one in entries} == {""}
