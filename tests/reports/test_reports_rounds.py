"""Sessions in rounds, read back: their times and intervals, and what the old protocol's rows lack."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import synthetic_sessions as sessions
from reading import read

from lossimpl.ranking import over_rounds
from lossimpl.row import from_record
from reports.record.rows import Row
from reports.statistics.sessions import points

MSE = "mse_loss.MseLoss.track_seconds"
NATIVE = Row(MSE, ("native", "32x10", "float32", "cpu", "step"))
SECONDS = (1.00e-3, 1.02e-3, 0.98e-3, 1.01e-3, 0.99e-3)


def only(folder: Path) -> pd.Series:
    """The only row of a record."""
    (row,) = read(folder).rows.to_dict("records")
    return row


def test_a_row_has_the_time_and_interval_of_its_quiet_rounds(tmp_path: Path) -> None:
    """Round 3 was disturbed and three times as slow: it is left out of the time, and named."""
    seconds = (*SECONDS[:2], 3e-3, *SECONDS[3:])
    row = only(sessions.write(tmp_path, [sessions.record(NATIVE, "s", seconds, busy=[3])], "s"))
    quiet = [*SECONDS[:2], *SECONDS[3:]]
    assert (row["value"], row["low"], row["high"]) == over_rounds(quiet)
    assert sorted(row["times"]) == [1, 2, 4, 5]
    assert row["status"] == "ok"
    assert row["busy"] == f"1 of 5 rounds: {sessions.BUSY}"


@pytest.mark.parametrize("busy", [(), (3,), (1, 2)])
def test_the_reader_agrees_with_the_row_that_was_measured(tmp_path: Path, busy: tuple[int, ...]) -> None:
    """`lossimpl.row.Row` knows times and shares by round, whatever was disturbed."""
    record = sessions.record(NATIVE, "s", SECONDS, busy)
    row, original = only(sessions.write(tmp_path, [record], "s")), from_record(record)
    assert row["times"] == original.times
    assert row["share"] == pytest.approx(over_rounds([*original.shares.values()]).value)
    assert row["status"] == original.status


def test_a_share_is_paired_with_the_ceiling_of_its_round(tmp_path: Path) -> None:
    """Time and ceiling vary twofold, together: the share is the same in each round, and its interval has no width."""
    record = sessions.record(NATIVE, "s", SECONDS)
    for one, factor in zip(record["rounds"], (1, 2, 1, 2, 1), strict=True):
        one["seconds"], one["ceiling"] = 1e-3 * factor, 1e9 / factor
    row = only(sessions.write(tmp_path, [record], "s"))
    share = record["traffic"] / 1e-3 / 1e9
    assert (row["share"], row["share_low"], row["share_high"]) == pytest.approx((share, share, share))
    assert row["high"] > 1.5 * row["value"]


def test_a_disturbed_row_has_a_time_and_no_interval(tmp_path: Path) -> None:
    """Two of five rounds are quiet, too few."""
    row = only(sessions.write(tmp_path, [sessions.record(NATIVE, "s", SECONDS, busy=[1, 2, 3])], "s"))
    assert row["status"] == "disturbed"
    assert row["value"] == pytest.approx(1e-3, rel=1e-2)
    assert math.isnan(row["low"])
    assert math.isnan(row["share_low"])


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_too_few_rounds_have_no_interval(tmp_path: Path, rounds: int) -> None:
    """Fewer than four quiet rounds support none, although nothing disturbed them."""
    row = only(sessions.write(tmp_path, [sessions.record(NATIVE, "s", SECONDS[:rounds])], "s"))
    assert (row["status"], math.isnan(row["low"])) == ("ok", True)


@pytest.mark.parametrize("samples", [7, 100])
def test_samples_of_one_process_have_no_interval(tmp_path: Path, samples: int) -> None:
    """A row of the old protocol has the median of its samples, and no interval between runs, however many there are."""
    line = {**NATIVE.record, "samples": [0.0, *[1e-3] * (samples - 2), 0.145], "status": "ok", "number": 1}
    row = only(sessions.write(tmp_path, [line], "unused"))
    assert (row["session"], row["value"]) == ("", 1e-3)
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


def test_a_busy_row_of_the_old_protocol_is_disturbed(tmp_path: Path) -> None:
    """What was a remark then is a status now, with the remark as its reason."""
    line = {**NATIVE.record, "samples": [1e-3] * 7, "status": "ok", "busy": sessions.BUSY}
    row = only(sessions.write(tmp_path, [line], "unused"))
    assert (row["status"], row["reason"]) == ("disturbed", sessions.BUSY)


def test_two_sessions_of_a_commit_are_two_rows(tmp_path: Path) -> None:
    """Neither hides the other, and each has its own times."""
    for session, factor in (("s", 1), ("t", 2)):
        record = sessions.record(NATIVE, session, [one * factor for one in SECONDS])
        sessions.write(tmp_path, [record], session)
    found = read(tmp_path)
    assert found.rows.set_index("session")["value"].round(5).to_dict() == {"s": 1e-3, "t": 2e-3}
    assert found.sessions["session"].tolist() == ["s", "t"]


def test_a_session_measured_again_replaces_its_own_lines(tmp_path: Path) -> None:
    """An interrupted session is written again when it is continued; the last line of a row wins."""
    for seconds in (SECONDS[:2], SECONDS):
        sessions.write(tmp_path, [sessions.record(NATIVE, "s", seconds)], "s")
    found = read(tmp_path)
    assert len(found.rows) == len(found.sessions) == 1
    assert len(found.rows.iloc[0]["times"]) == 5


BROKEN: dict[str, Any] = {
    "'rounds' is 'x', expected objects": "x",
    "'rounds' is [3], expected objects": [3],
    "'seconds' is -1.0, expected positive number": [{"number": 1, "seconds": -1.0, "busy": ""}],
    "'number' is missing": [{"number": None, "seconds": 1.0, "busy": ""}],
    "'busy' is 7, expected text": [{"number": 1, "busy": 7, "seconds": 1.0}],
    "'seconds' is inf": [{"seconds": math.inf, "number": 1, "busy": ""}],
    "two rounds have the same number": [{"number": 1, "seconds": 1.0, "busy": ""}] * 2,
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_round_is_named_and_affects_no_other_row(tmp_path: Path, what: str) -> None:
    """Its row is a problem with file and line; the other row is read."""
    other = Row(MSE, ("torch", *NATIVE.params[1:]))
    broken = sessions.record(NATIVE, "s", SECONDS) | {"rounds": BROKEN[what]}
    found = read(sessions.write(tmp_path, [broken, sessions.record(other, "s", SECONDS)], "s"))
    assert found.rows["implementation"].tolist() == ["torch"]
    (problem,) = found.problems
    assert problem.place.endswith("rows.jsonl line 1")
    assert what in problem.what


@pytest.mark.parametrize("traffic", [0, None])
def test_without_a_traffic_there_is_no_share(tmp_path: Path, traffic: Any) -> None:
    """The time is read all the same."""
    record = sessions.record(NATIVE, "s", SECONDS) | {"traffic": traffic}
    row = only(sessions.write(tmp_path, [record], "s"))
    assert row["value"] == pytest.approx(1e-3, rel=1e-2)
    assert math.isnan(row["share"])


def test_rows_that_asv_did_not_measure_are_no_rows(tmp_path: Path) -> None:
    """asv stores null or NaN for rows that a session did not select; its side-car has all that was measured."""
    folder = sessions.write(tmp_path, [sessions.record(NATIVE, "s", SECONDS)], "s")
    (side_car,) = folder.glob("*/*.rows.jsonl")
    axes = [[repr(one)] for one in NATIVE.params]
    axes[0] = ["'native'", "'torch'", "'naive'"]
    stored = {
        "version": 2,
        "commit_hash": "c" * 40,
        "date": 1_700_000_000_000,
        "result_columns": ["result", "params", "version"],
        "results": {MSE: [[1e-3, None, math.nan], axes, "2"]},
    }
    Path(str(side_car).replace(".rows.jsonl", ".json")).write_text(json.dumps(stored))
    found = read(folder)
    assert found.problems == []
    assert found.rows[["implementation", "version", "session"]].values.tolist() == [["native", "2", "s"]]


def test_only_the_newest_commits_hard_cases_are_read(tmp_path: Path) -> None:
    """By the dates that asv knows: the file names begin with a hash, and are in no such order."""
    for commit, date in (("a" * 40, 2), ("b" * 40, 1)):
        stem = tmp_path / "m" / f"{commit[:8]}-env"
        stem.parent.mkdir(exist_ok=True)
        data = {
            "version": 2,
            "commit_hash": commit,
            "date": (1_700_000 + date) * 10**6,
            "result_columns": [],
            "results": {},
        }
        Path(f"{stem}.json").write_text(json.dumps(data))
        case = dict.fromkeys(("loss", "case", "implementation", "device", "dtype"), "x") | {"status": "pass"}
        Path(f"{stem}.conformance.jsonl").write_text(json.dumps(case) + "\n")
    assert read(tmp_path).conformance["commit"].tolist() == ["aaaaaaaa"]


def test_a_history_has_one_point_per_commit_and_one_protocol(tmp_path: Path) -> None:
    """The newest session of each commit counts, and no time of one process once there are rounds."""
    old = {**NATIVE.record, "samples": [9e-3] * 7, "status": "ok"}
    sessions.write(tmp_path, [old], "unused", commit="a" * 40)
    for day, (session, commit) in enumerate((("s", "b"), ("t", "b"), ("u", "c")), start=1):
        record = sessions.record(NATIVE, session, SECONDS)
        sessions.write(tmp_path, [record], session, commit=commit * 40, began_at=f"2026-11-0{day}T00:00:00+00:00")
    found = points(read(tmp_path).rows)
    assert sorted(zip(found["commit"], found["session"], strict=True)) == [("bbbbbbbb", "t"), ("cccccccc", "u")]
