"""Every number of every page: built from the archive, and from the result files alone."""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
import synthetic_results
from direct import Direct, DirectMaterial
from scipy.stats import t

from lossimpl import LOSSES
from reports.record.archive import Archive
from reports.record.mirror import mirror
from reports.record.stored import Stored
from reports.site.build import build
from reports.site.material import Material

COMMITTED = Path(__file__).parents[2] / "results"


def files(folder: Path) -> dict[str, Any]:
    """The files by name: of CSV and of lines of JSON the values, whose form and order say nothing, else the text."""
    return {str(path.relative_to(folder)): values(path) for path in folder.rglob("*") if path.is_file()}


def values(path: Path) -> Any:
    """What a file says."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".csv":
        rows = csv.DictReader(path.open(newline=""))
        return [{name: number(value) for name, value in row.items()} for row in rows]
    return path.read_text()


def number(text: str) -> float | str:
    """A cell of a table, as a number if it is one; no NaN, which equals nothing."""
    try:
        return float(text) if text != "nan" else text
    except ValueError:
        return text


@pytest.fixture(params=["synthetic", pytest.param("committed", marks=pytest.mark.slow)])
def record(request: pytest.FixtureRequest, results: Path) -> tuple[Path, Any]:
    """A results folder, and the losses that its pages show."""
    return (results, synthetic_results.losses()) if request.param == "synthetic" else (COMMITTED, LOSSES)


def test_pages_are_those_of_the_files_themselves(record: tuple[Path, Any], tmp_path: Path) -> None:
    """Text, tables and figures are the same to the byte and raw data in value, with an archive between or without."""
    folder, losses = record
    build(Material(Stored(*mirror(folder, tmp_path / "archive")), losses), tmp_path / "one")
    build(DirectMaterial(Direct(folder), losses), tmp_path / "two")
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert set(one) == set(two)
    assert [name for name in one if one[name] != two[name]] == []


def test_raw_data_is_that_of_the_json(record: tuple[Path, Any], tmp_path: Path) -> None:
    """Each row of data/*.csv has the numbers of its line of JSON, with the intervals computed here from its rounds."""
    folder, losses = record
    out = build(Material(Stored(*mirror(folder, tmp_path / "archive")), losses), tmp_path / "site").parent
    lines = by_place(folder)
    compared = 0
    for path in (out / "data").glob("*.csv"):
        for row in csv.DictReader(path.open(newline="")):
            key = tuple(row.get(name, "") for name in PLACE)
            if key in lines and "rounds" in lines[key]:
                compared += same(row, lines[key])
    assert compared > 1000


PLACE = ("machine", "commit", "session", "loss", "implementation", "shape", "dtype", "device", "mode")
FIELDS = ("traffic", "peak_bytes", "saved_bytes", "threads")
ERRORS = ("value_max_rel", "value_mean_rel", "value_ulp", "grad_max_rel", "grad_mean_rel", "grad_ulp")


def by_place(folder: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    """The lines of all rows, the last of each place."""
    found = {}
    for path in sorted(folder.glob("*/*.rows.jsonl")):
        for line in map(json.loads, path.read_text().splitlines()):
            line["loss"] = line["benchmark"].partition(".")[0]
            where = {"machine": path.parent.name, "commit": path.name[:8], "session": line.get("session", "")}
            found[tuple(str((line | where).get(name, "")) for name in PLACE)] = line
    return found


def same(row: dict[str, str], line: dict[str, Any]) -> int:
    """Compare the numbers of a row with those of a line; return how many there were."""
    rounds = [one for one in line["rounds"] if line["status"] == "disturbed" or not one["busy"]]
    times = [one["seconds"] for one in rounds]
    ceilings = [one["ceiling"] for one in rounds if one.get("ceiling")]
    expected = {name: line.get(name) for name in FIELDS} | {
        name: (line.get("agreement") or {}).get(name) for name in ERRORS
    }
    if times:
        expected |= dict(zip(("value", "low", "high"), interval(times, line["status"]), strict=True))
    if ceilings:
        expected |= {"ceiling": interval(ceilings, line["status"])[0]}
    if times and len(ceilings) == len(times) and line.get("traffic"):
        shares = [line["traffic"] / time / ceiling for time, ceiling in zip(times, ceilings, strict=True)]
        names = ("share", "share_low", "share_high")
        expected |= dict(zip(names, interval(shares, line["status"]), strict=True))
    for name, value in expected.items():
        shown = float(row[name]) if row[name] else None
        known = value is not None and not math.isnan(value)
        assert shown == (pytest.approx(value, rel=1e-12) if known else None), (row, name)
    return len(expected)


def interval(values: list[float], status: str) -> tuple[float, float, float]:
    """The geometric mean, and Student's interval for that of another session of as many rounds."""
    logs = [math.log(value) for value in values]
    middle, count = fmean(logs), len(logs)
    if count < 4 or status == "disturbed":
        return math.exp(middle), math.nan, math.nan
    half = t.ppf(0.975, count - 1) * stdev(logs) * math.sqrt(2 / count)
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def test_series_continue_month_by_month(tmp_path: Path) -> None:
    """Forty commits, one after the other into the same archive, give the series and pages of all at once.

    They are a week apart, so that months end between them; a commit of an earlier month comes last.
    """
    commits = tuple(f"{number:02x}" * 20 for number in range(1, 41))
    whole = synthetic_results.write(tmp_path / "results", commits, ("float32",), ("mse_loss",), changed_at=20, days=7)
    late, growing = commits[30], tmp_path / "growing"
    for commit in [*(one for one in commits if one != late), late]:
        for path in whole.glob(f"*/{commit[:8]}-*"):
            (growing / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, growing / path.parent.name)
        step = Material(Stored(*mirror(growing, tmp_path / "archive")), synthetic_results.losses()).series
    at_once = Material(Stored(*mirror(growing, tmp_path / "other")), synthetic_results.losses()).series
    alone = DirectMaterial(Direct(growing), synthetic_results.losses()).series
    order = ["env", "row"]
    for one in (step, alone):
        for name in ("row", "points", "first", "last", "changes", "newest"):
            assert one.sort_values(order)[name].tolist() == at_once.sort_values(order)[name].tolist(), name
    assert sum(at_once["changes"].map(len)) >= 2  # torch became slower at the twentieth, in two modes
    assert len(Archive(tmp_path / "archive").partitions) > 8
