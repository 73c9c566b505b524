"""The reader of results/: what asv wrote is read back, and a broken file affects no other."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import synthetic_results
from synthetic_results import COMMITS, ENV, MACHINE

from lossimpl.ranking import over_rounds
from reports.record import reader
from reports.record.reader import COLUMNS, KEY, NUMBERS, read

STEM = f"{COMMITS[-1][:8]}-{ENV}"
NATIVE = ("'native'", "'512x32000'", "'float32'", "'cpu'", "'step'")


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Path:
    """A copy of the results that a test may break."""
    return Path(shutil.copytree(results, tmp_path / "results"))


def edit(path: Path, change: Any) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_one_row_per_key(results: Path) -> None:
    """Each (machine, env, commit, benchmark, params) is one row: 2 commits x 2 losses x 40 parameters + 4 scenarios."""
    rows = read(results).rows
    assert set(COLUMNS) <= set(rows.columns)
    assert not rows.duplicated(KEY).any()
    assert len(rows) == 2 * (2 * 40 + 4)


def test_row_joins_asv_and_side_car(results: Path) -> None:
    """A row has the time over the side-car's rounds with its interval, and agreement, memory and reason."""
    rows = read(results).rows
    row = rows[(rows["params"] == NATIVE) & (rows["commit"] == "bbbbbbbb") & (rows["loss"] == "cross_entropy")].iloc[0]
    assert sorted(row["times"]) == [1, 2, 3, 4, 5]
    assert (row["value"], row["low"], row["high"]) == over_rounds([*row["times"].values()])
    assert (row["session"], row["version"]) == ("session1", "1")
    assert not isinstance(row["samples"], tuple)  # asv's samples are the times of the rounds
    assert (row["status"], row["shape"], row["mode"], row["verdict"]) == ("ok", "512x32000", "step", "ok")
    assert row["peak_bytes"] == 3 * row["traffic"]
    assert row["started_at"].isoformat() == "2023-11-15T22:13:20+00:00"


def test_unavailable_and_wrong_keep_their_reason(results: Path) -> None:
    """asv stores NaN and null for them; the side-car has status and reason."""
    rows = read(results).rows
    assert set(rows.loc[rows["status"] == "unavailable", "reason"]) == {"no compiler on this synthetic machine"}
    assert rows.loc[rows["status"] == "wrong", "value_ulp"].unique().tolist() == [5e4]


def test_bare_nan_is_a_skip_and_null_an_error(copy: Path) -> None:
    """Without a side-car, asv's NaN means that the row was not measured, and null that the benchmark failed."""
    for side_car in copy.glob("*/*.jsonl"):
        side_car.unlink()
    rows = read(copy).rows
    assert "NaN" in (copy / MACHINE / f"{STEM}.json").read_text()
    assert set(rows.loc[rows["implementation"].eq("compiled") & rows["dtype"].eq("bfloat16"), "status"]) == {"skipped"}
    wrong = rows["loss"].eq("mse_loss") & rows["implementation"].eq("vectorized") & rows["dtype"].eq("bfloat16")
    assert set(rows.loc[wrong, "status"]) == {"error"}


def test_side_car_alone_is_enough(copy: Path) -> None:
    """An interrupted run has a side-car but no asv file yet; its rounds give the same time and interval."""
    whole = read(copy).rows
    (copy / MACHINE / f"{STEM}.json").unlink()
    rows = read(copy).rows
    assert len(rows) == len(whole)
    rows, whole = rows.set_index(KEY), whole.set_index(KEY)
    assert rows["value"].to_dict() == pytest.approx(whole["value"].to_dict(), nan_ok=True)
    assert rows["low"].astype(float).to_dict() == pytest.approx(whole["low"].astype(float).to_dict(), nan_ok=True)


def test_newest_line_of_a_row_wins_whole(copy: Path) -> None:
    """A row that was measured and later failed is an error, without its earlier samples."""
    path = copy / MACHINE / f"{STEM}.rows.jsonl"
    (copy / MACHINE / f"{STEM}.json").unlink()
    line = {
        "benchmark": "cross_entropy.CrossEntropy.track_seconds",
        "params": list(NATIVE),
        "session": "session1",
        "status": "error",
        "reason": "x",
    }
    path.write_text(path.read_text() + json.dumps(line) + "\n")
    rows = read(copy).rows
    row = rows[(rows["params"] == NATIVE) & (rows["commit"] == "bbbbbbbb") & (rows["loss"] == "cross_entropy")].iloc[0]
    assert (row["status"], row["reason"]) == ("error", "x")
    assert math.isnan(row["value"])
    assert not isinstance(row["samples"], tuple)


def test_machines_merge_by_folder(copy: Path) -> None:
    """Copying a second machine's folder beside the first adds its rows under its own name."""
    before = read(copy).rows
    shutil.copytree(copy / MACHINE, copy / "another-machine")
    rows = read(copy).rows
    assert rows["machine"].value_counts().to_dict() == {MACHINE: len(before), "another-machine": len(before)}


def test_no_results_is_an_empty_frame(tmp_path: Path) -> None:
    """The frame has its columns and no row."""
    rows = read(tmp_path / "results").rows
    assert rows.empty
    assert list(rows.columns) == COLUMNS


def test_a_file_is_not_a_results_folder(tmp_path: Path) -> None:
    """A file in the place of the folder is named."""
    path = tmp_path / "results"
    path.write_text("")
    with pytest.raises(NotADirectoryError, match="results is a file"):
        read(path)


def first_benchmark(data: dict[str, Any]) -> list[Any]:
    return data["results"]["cross_entropy.CrossEntropy.track_seconds"]


def shorten(data: dict[str, Any]) -> None:
    first_benchmark(data)[0].pop()


def mistype(data: dict[str, Any]) -> None:
    first_benchmark(data)[0][0] = "fast"


def lengthen(data: dict[str, Any]) -> None:
    first_benchmark(data).extend([1] * 20)


BROKEN_FILES: dict[str, tuple[Any, str]] = {
    "truncated": (lambda path: path.write_text(path.read_text()[:200]), "not JSON"),
    "empty": (lambda path: path.write_text(""), "not JSON"),
    "binary": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "not UTF-8"),
    "list": (lambda path: path.write_text("[]"), "is list, expected a JSON object"),
    "deep": (lambda path: path.write_text("[" * 100_000), "nested too deeply|not JSON"),
    "version": (lambda path: edit(path, lambda data: data.update(version=1)), "format version 1, expected asv's 2"),
    "no results": (lambda path: edit(path, lambda data: data.pop("results")), "lacks the key 'results'"),
    "results list": (lambda path: edit(path, lambda data: data.update(results=[])), "'results' is list, expected dict"),
    "commit": (lambda path: edit(path, lambda data: data.update(commit_hash="c" * 40)), "is of commit 'cccccccc'"),
    "date": (lambda path: edit(path, lambda data: data.update(date="soon")), "date 'soon' is not a time"),
    "name": (lambda path: path.rename(path.with_name("results.json")), "file name 'results' is not"),
}
BROKEN_BENCHMARKS: dict[str, tuple[Any, str]] = {
    "short": (shorten, "39 values of result for 40 parameter combinations"),
    "text": (mistype, "value 'fast' is not a number"),
    "long": (lengthen, "values for 13 columns"),
    "number": (
        lambda data: data["results"].update({"cross_entropy.CrossEntropy.track_seconds": 7}),
        "is int, expected a list",
    ),
}


@pytest.mark.parametrize("broken", BROKEN_FILES)
def test_a_broken_file_is_named_and_affects_no_other(copy: Path, broken: str) -> None:
    """The problem has the file and the reason; the other commit is read completely."""
    change, what = BROKEN_FILES[broken]
    (copy / MACHINE / f"{STEM}.rows.jsonl").unlink()
    change(copy / MACHINE / f"{STEM}.json")
    found = read(copy)
    assert len(found.problems) == 1
    assert found.problems[0].place.startswith(MACHINE)
    assert re.search(what, found.problems[0].what)
    assert found.rows["commit"].value_counts().to_dict() == {"aaaaaaaa": 84}


@pytest.mark.parametrize("broken", BROKEN_BENCHMARKS)
def test_a_broken_benchmark_affects_no_other(copy: Path, broken: str) -> None:
    """The other benchmarks of the same file are read."""
    change, what = BROKEN_BENCHMARKS[broken]
    (copy / MACHINE / f"{STEM}.rows.jsonl").unlink()
    edit(copy / MACHINE / f"{STEM}.json", change)
    found = read(copy)
    assert [what in problem.what for problem in found.problems] == [True]
    assert "cross_entropy.CrossEntropy.track_seconds" in found.problems[0].what
    rows = found.rows[found.rows["commit"] == "bbbbbbbb"]
    assert rows["loss"].value_counts().to_dict() == {"mse_loss": 40}


BROKEN_LINES = {
    '{"benchmark": "x", "par': "not JSON",
    "3": "is int, expected a JSON object",
    '{"params": []}': "'benchmark' is None, expected str",
    '{"benchmark": "a.B.c", "params": "x"}': "'params' is 'x', expected list",
    '{"benchmark": "a.B.c", "params": [], "samples": ["x"]}': "'samples' is ['x'], expected numbers, not negative",
    '{"benchmark": "a.B.c", "params": [], "agreement": 3}': "'agreement' is 3, expected object",
    '{"benchmark": "a.B.c", "params": [], "started_at": "soon"}': "started_at 'soon' is not a time",
}


@pytest.mark.parametrize("line", BROKEN_LINES)
def test_a_broken_line_is_named_and_affects_no_other(copy: Path, line: str) -> None:
    """A run that was killed leaves an incomplete line; its number is named and every other line is read."""
    path = copy / MACHINE / f"{STEM}.rows.jsonl"
    path.write_text(path.read_text() + line + "\n")
    found = read(copy)
    assert len(found.rows) == 168
    assert [str(problem) for problem in found.problems] == [
        f"{MACHINE}/{STEM}.rows.jsonl line 85: {found.problems[0].what}"
    ]
    assert BROKEN_LINES[line] in found.problems[0].what


@pytest.mark.parametrize("wrong", ["x", -1, True, 1e308, math.inf, [], {}, [1], {"a": None}, "../../x", "<b>"])
def test_a_wrong_value_in_any_field_affects_only_its_row(copy: Path, wrong: Any) -> None:
    """The frame keeps its types: numbers are numbers or missing, names are text or missing."""
    path = copy / MACHINE / f"{STEM}.rows.jsonl"
    (copy / MACHINE / f"{STEM}.json").unlink()
    first = json.loads(path.read_text().splitlines()[0])
    lines = [json.dumps({**first, "params": [str(place)] * 5, key: wrong}) for place, key in enumerate(first)]
    path.write_text("\n".join([*lines, json.dumps(first)]))
    found = read(copy)
    rows = found.rows[found.rows["commit"] == "bbbbbbbb"]
    assert len(rows) + len(found.problems) == len(first) + 1
    assert set(rows[NUMBERS].dtypes.astype(str)) == {"float64"}
    for name in ("loss", "implementation", "shape", "status", "reason", "level"):
        assert set(map(type, rows[name].dropna())) <= {str}, name
    assert (rows["params"] == tuple(first["params"])).any()


PACKED = f"{STEM}.conformance.jsonl.gz"


@pytest.mark.parametrize("change", [lambda held: held[:40], lambda held: b"plain text", lambda held: b""])
def test_a_broken_gzip_file_is_named_and_affects_no_other(copy: Path, change: Any) -> None:
    """A truncated gzip file and one of another format are problems; the complete one has four cases."""
    assert len(read(copy).conformance) == 4
    path = copy / MACHINE / PACKED
    path.write_bytes(change(path.read_bytes()))
    found = read(copy)
    assert len(found.rows) == 168
    if path.stat().st_size:
        assert [problem.place for problem in found.problems] == [f"{MACHINE}/{PACKED}"]
        assert "not whole gzip" in found.problems[0].what
    assert found.conformance.empty


WRONG_NIGHTS = {
    '{"commit": 7}': "'commit' is 7, expected text",
    '{"commit": "0123abcd", "row": ["a"]}': "'row' is ['a'], expected text",
    '{"commit": "0123abcd", "stands": "no"}': "'stands' is 'no', expected true or false",
    '["commit"]': "is list, expected a JSON object",
}


@pytest.mark.parametrize("line", WRONG_NIGHTS)
def test_a_line_that_no_night_wrote_is_named_and_not_shown(copy: Path, line: str) -> None:
    """The lines of another tool's changes.jsonl are problems."""
    (copy / MACHINE / "changes.jsonl").write_text(line + "\n")
    found = read(copy)
    assert [problem.what for problem in found.problems] == [WRONG_NIGHTS[line]]
    assert found.nights == ()


def test_unreadable_file_is_named(copy: Path) -> None:
    """A folder in the place of a file is reported as unreadable."""
    (copy / MACHINE / "ffffffff-env.json").mkdir()
    found = read(copy)
    assert [problem.what for problem in found.problems] == ["cannot be read: Is a directory"]


def test_other_json_beside_results_is_no_result(copy: Path) -> None:
    """asv's list of benchmarks and the gate's self-test are not read as results."""
    (copy / "benchmarks.json").write_text("{}")
    (copy / MACHINE / "gate-selftest.json").write_text('{"false_positive_rate": 0.0}')
    found = read(copy)
    assert found.problems == ()
    assert found.selftests == {MACHINE: {"false_positive_rate": 0.0}}


def test_asv_itself_reads_the_fixture(results: Path) -> None:
    """asv's own reader accepts the synthetic files."""
    from asv.results import iter_results

    assert sorted(one.commit_hash for one in iter_results(str(results))) == sorted(synthetic_results.COMMITS)


def test_too_few_samples_have_a_median_and_no_interval():
    """The range of six samples covers the median with 97 %, that of five with 94 %, which is below 95 %."""
    assert reader.interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == (3.5, 1.0, 6.0)
    few = reader.interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert few.value == 3.0
    assert math.isnan(few.low)
    assert math.isnan(few.high)
