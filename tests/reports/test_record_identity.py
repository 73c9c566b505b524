"""Ids of rows are the same in the files and on the pages; a row that was changed is named, and never shown."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reading import read
from synthetic_results import COMMITS, ENV, MACHINE, losses

from lossimpl import identity
from reports.record.mirror import mirror
from reports.record.stored import Stored
from reports.site.build import build
from reports.site.material import gather, of

NAME = f"{COMMITS[-1][:8]}-{ENV}.rows.jsonl"
PLACE = {"machine": MACHINE, "commit": COMMITS[-1]}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def identified(results: Path, tmp_path: Path) -> Path:
    """A copy of the results whose newest rows have ids and checksums, as a sweep writes them."""
    folder = Path(shutil.copytree(results, tmp_path / "results"))
    rows = [identity.identified(one | PLACE) for one in lines(folder / MACHINE / NAME)]
    (folder / MACHINE / NAME).write_text("".join(json.dumps(one) + "\n" for one in rows))
    return folder


def altered(row: dict[str, Any]) -> dict[str, Any]:
    """The row a tenth faster."""
    return row | {"rounds": [one | {"seconds": 0.9 * one["seconds"]} for one in row["rounds"]]}


def moved(row: dict[str, Any]) -> dict[str, Any]:
    """The same row of another machine, as that wrote it."""
    return identity.identified(row | {"machine": "another-machine"})


@pytest.mark.parametrize(
    ("change", "said"),
    [(altered, "changed after it was written"), (moved, "its machine is another-machine, but it lies among")],
)
def test_an_altered_or_a_foreign_row_is_named_and_not_shown(
    identified: Path, change: Callable[[dict[str, Any]], dict[str, Any]], said: str
) -> None:
    """The problem has the file and the line; all other rows are read."""
    path = identified / MACHINE / NAME
    whole = len(read(identified).rows)
    first, *rest = lines(path)
    path.write_text("".join(json.dumps(one) + "\n" for one in (change(first), *rest)))
    found = read(identified)
    (problem,) = found.problems
    assert problem.place == f"{MACHINE}/{NAME} line 1"
    assert said in problem.what
    assert len(found.rows) == whole


@pytest.mark.usefixtures("undrawn")
def test_pages_have_the_ids_of_the_files(identified: Path, tmp_path: Path) -> None:
    """In the details of every row, in the CSV, and in the rows as stored, which are the lines of the results."""
    site = build(gather(identified, losses()), tmp_path / "site").parent
    rows = [one for one in lines(identified / MACHINE / NAME) if one.get("loss") == "mse_loss"]
    assert lines(site / "data" / "mse_loss.rows.jsonl") == rows
    with (site / "data" / "mse_loss.csv").open() as file:
        assert {one["id"] for one in csv.DictReader(file)} == {one["id"] for one in rows}
    text = (site / "loss-mse_loss.html").read_text()
    assert all(f"<code>lossimpl replay {one['id']}</code>" in text for one in rows)
    (manifest,) = lines(site / "data" / "mse_loss.manifest.jsonl")
    assert manifest in lines(identified / MACHINE / NAME.replace(".rows.", ".manifest."))


def test_older_rows_have_an_id_from_their_place(results: Path, tmp_path: Path) -> None:
    """The archive alone gives the same id as the file's machine, commit and fields."""
    stored = Stored(*mirror(results, str(tmp_path / "record")))
    (session,) = (one for one in of(stored, losses()).shown if one.commit == COMMITS[-1][:8])
    expected = {identity.row_id(one | PLACE) for one in lines(results / MACHINE / NAME) if "loss" in one}
    assert {*stored.rows_of(session.key)["id"]} == expected
