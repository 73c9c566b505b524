"""The nightly on a git history with planted changes and asv's own result files, one night after the other."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from planted import BENCHMARK, ROWS, measure

from reports.nightly import command
from reports.nightly.commits import MOST_COMMITS, Unmeasured, measured, new_commits
from reports.nightly.commits import history as commits_of
from reports.nightly.health import ENDED_BEFORE, Health
from reports.nightly.judge import Night, judge
from reports.record.stored import Stored
from reports.site.pages.change_points import ChangePoints
from reports.statistics.changes import events, findings, histories
from reports.sweep.store import Store

NIGHTS = 60


def change_points(rows, nights=()):
    """The change points of a whole frame as the page has them."""
    order = list(dict.fromkeys(rows.sort_values("date")["commit"]))
    series = histories(rows, order)
    return ChangePoints(findings(series), events(series, order), nights)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Sixty commits on a main branch."""
    folder = tmp_path_factory.mktemp("repository")

    def git(*arguments):
        identity = ["-c", "user.name=night", "-c", "user.email=night@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch=main")
    for night in range(NIGHTS):
        git("commit", "--quiet", "--allow-empty", "-m", f"commit {night}")
    return folder


@pytest.fixture
def root(repository, tmp_path):
    """A copy of the repository that a test may fill with results."""
    return Path(shutil.copytree(repository, tmp_path / "root"))


def history(root):
    done = subprocess.run(
        ["git", "rev-list", "--reverse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_planted_commits_are_found_and_no_others(root):
    """`native` slower by 20 % at commit 20, `torch` faster by 25 % at 35, ten noisy nights of `vectorized`.

    Exactly two nights find something: the regression fails its night and is named with commit, row, ratio and
    confidence; the improvement is reported without failing.
    """
    rng = np.random.default_rng(5)

    def level(night):
        shaky = np.exp(0.08 * rng.standard_normal()) if 40 <= night < 50 else 1.0
        return np.array([1e-3 * (1.2 if night >= 20 else 1), 2e-3 * (0.75 if night >= 35 else 1), 3e-3 * shaky])

    commits, noise, reported = history(root), np.random.default_rng(12), {}
    for night in range(NIGHTS):
        measure(root, commits, night, level(night) * np.exp(0.015 * noise.standard_normal(len(ROWS))))
        if night >= 10 and (found := judge(root, "bench")) != Night((), (), ()):
            reported[night] = found
    slow, fast = reported.values()
    assert (slow.code, fast.code) == (1, 0)
    assert [(one.commit, one.before) for one in slow.findings] == [(commits[20][:8], commits[19][:8])]
    assert [(one.commit, one.verdict) for one in fast.findings] == [(commits[35][:8], "faster")]
    assert all(night <= planted + 6 for night, planted in zip(reported, (20, 35), strict=True))
    (line,) = slow.lines()
    assert line.startswith(f"slower: {commits[20][:8]} (after {commits[19][:8]}) {BENCHMARK}('native') on bench: ")
    assert re.search(r": 1\.(1[89]|2[012])× as long, confidence 9\d\.\d\d %$", line)
    assert slow.findings[0].ratio == pytest.approx(1.2, rel=0.03)


def test_a_refuted_finding_fails_no_night_and_a_moved_one_is_reported_once(root):
    """`native` +20 % from commit 20: measured again it is refuted (exit 0), or moved to 21 (exit 1).

    Either way later nights report neither commit again.
    """
    commits = history(root)
    noise = np.random.default_rng(12)
    for night in range(27):
        level = np.array([1.2e-3 if night >= 20 else 1e-3, 2e-3, 3e-3])
        measure(root, commits, night, level * np.exp(0.015 * noise.standard_normal(len(ROWS))))
    memory = root / "results" / "bench" / "changes.jsonl"

    def refute(found):
        return [replace(one, stands=False, again="refuted: same") for one in found]

    def move(found):
        return [replace(one, commit=commits[21][:8], before=commits[20][:8], again="confirmed") for one in found]

    (shown,) = change_points(Stored.of(root / "results").rows).standing
    refuted = judge(root, "bench", refute)
    results = Stored.of(root / "results")
    assert change_points(results.rows, results.nights).refuted == [replace(shown, stands=False, again="refuted: same")]
    assert refuted.code == 0
    assert refuted.lines()[0].startswith(f"refuted: {commits[20][:8]} ")
    assert judge(root, "bench", move) == Night((), (), ())
    memory.unlink()
    moved = judge(root, "bench", move)
    assert moved.code == 1
    assert re.match(f"slower: {commits[21][:8]} .*; confirmed$", moved.lines()[0])
    assert [json.loads(line)["commit"] for line in memory.read_text().splitlines()] == [
        commits[21][:8],
        commits[20][:8],
    ]
    assert judge(root, "bench") == Night((), (), ())
    results = Stored.of(root / "results")
    (shown,) = change_points(results.rows, results.nights).standing
    assert (shown.commit, shown.before, shown.again) == (commits[21][:8], commits[20][:8], "confirmed")


def test_new_torch_is_one_event_and_no_regression(root):
    """+30 % in every row with another torch at commit 30: one event, reported once, and every night ends with 0."""
    commits = history(root)
    rng = np.random.default_rng(3)
    found = []
    for night in range(NIGHTS):
        factor = 1.3 if night >= 30 else 1.0
        seconds = factor * np.array([1e-3, 2e-3, 3e-3]) * np.exp(0.015 * rng.standard_normal(3))
        measure(root, commits, night, seconds, torch="2.13.0" if night >= 30 else "2.12.0")
        found.append(judge(root, "bench") if night % 5 == 4 else None)
    nights = [one for one in found if one]
    assert [one.code for one in nights] == [0] * len(nights)
    assert [(event.commit, event.label) for one in nights for event in one.events] == [
        (commits[30][:8], "shared-py3.11-torch2.12.0 -> shared-py3.11-torch2.13.0")
    ]


def test_lost_digits_fail_the_night_at_once(root):
    """The error against the reference grows tenfold at commit 12, with equal times: only that night fails."""
    commits = history(root)
    rng = np.random.default_rng(4)
    codes = []
    for night in range(10, 15):
        seconds = np.array([1e-3, 2e-3, 3e-3]) * np.exp(0.015 * rng.standard_normal(3))
        error = 5e-5 if night >= 12 else 5e-6
        measure(root, commits, night, seconds, record=lambda night, error=error: {
            "dtype": "float32", "agreement": {"verdict": "ok", "value_max_rel": error}, "peak_bytes": 4096,
        })  # fmt: skip
        codes.append(judge(root, "bench").code)
    assert codes == [0, 0, 1, 0, 0]


def test_two_machines_merge_by_folder(root):
    """A second machine's folder beside the first is judged separately; its regression has its name."""
    commits = history(root)
    rng = np.random.default_rng(6)
    for night in range(30):
        noise = lambda: np.exp(0.015 * rng.standard_normal(3))  # noqa: E731  # one line, used twice below
        measure(root, commits, night, np.array([1e-3, 2e-3, 3e-3]) * noise())
        slow = np.array([1.25 if night >= 18 else 1.0, 1.0, 1.0])
        measure(root, commits, night, np.array([5e-3, 6e-3, 7e-3]) * slow * noise(), machine="other")
    (found,) = judge(root, "other").findings
    assert judge(root, "bench").findings == ()
    assert (found.series.machine, found.commit) == ("other", commits[18][:8])


@pytest.fixture
def night(root, monkeypatch):
    """A night over the first commits of the repository: its exit code and what it measured, with asv simulated.

    `stopped` is the commit that Ctrl-C interrupts, `broken` are those that do not build.
    """
    commits = history(root)
    monkeypatch.setattr(command, "ROOT", root)
    monkeypatch.setenv("LOSSIMPL_MACHINE", "bench")
    monkeypatch.setattr("reports.sweep.engine.register", lambda machine: None)  # would write into the home folder
    monkeypatch.setattr(command, "follow", lambda arguments: True)
    monkeypatch.setattr(command, "rows_per_commit", lambda grid: len(ROWS))
    (root.parent / "shared").mkdir()
    monkeypatch.setenv("LOSSIMPL_RESULTS", str(root.parent / "shared"))
    monkeypatch.setenv("XDG_STATE_HOME", str(root.parent / "state"))
    rng = np.random.default_rng(8)

    def run(head, slow_from=NIGHTS, stopped=None, broken=()):
        asked = []

        def sweep(commit, machine, grid):
            asked.append(number := [one[:8] for one in commits].index(commit))
            if number in broken:
                raise Unmeasured(f"asv measured nothing at {commit}")
            store = Store(root, machine, commit, "shared-py3.11")
            store.begin(grid)
            slow = np.array([1.2 if number >= slow_from else 1.0, 1.0, 1.0])
            measure(root, commits, number, slow * 1e-3 * np.exp(0.015 * rng.standard_normal(3)))
            if number == stopped:
                raise KeyboardInterrupt
            store.finish()

        monkeypatch.setattr(command, "sweep", sweep)
        subprocess.run(["git", "reset", "--quiet", "--hard", commits[head]], cwd=root, check=True)
        with pytest.raises(typer.Exit) as ended:
            command.nightly()
        return ended.value.exit_code, asked

    return run


def test_a_night_measures_what_came_since_the_last_and_nothing_twice(night):
    """The first night measures HEAD, later ones new commits; one without new commits measures nothing."""
    assert [night(3), night(6), night(6), night(7)] == [(0, [3]), (0, [4, 5, 6]), (0, []), (0, [7])]


def test_nights_in_a_row_find_the_planted_commit_once(night, root):
    """+20 % from commit 21 on, one commit per night: one night fails, at most six later, and it names commit 21."""
    codes = {head: night(head, slow_from=21)[0] for head in range(5, 32)}
    failed = [head for head, code in codes.items() if code]
    assert len(failed) == 1
    assert 21 <= failed[0] <= 27
    (line,) = (root / "results" / "bench" / "changes.jsonl").read_text().splitlines()
    assert json.loads(line)["commit"] == history(root)[21][:8]


def test_an_interrupted_night_is_continued(night, capsys):
    """Ctrl-C during commit 5, whose result file asv has begun: the next night continues with 5, not 4."""
    night(3)
    assert night(6, stopped=5) == (2, [4, 5])
    assert "the next night continues from there" in capsys.readouterr().err
    assert night(6) == (0, [5, 6])
    assert night(6) == (0, [])


def test_an_interrupted_night_is_continued_in_a_clean_checkout(night, root):
    """What it had of commit 5 was sent, but not as a whole: the next night measures 5 again, and only once."""
    night(3)
    assert night(6, stopped=5) == (2, [4, 5])
    shutil.rmtree(root / ".asv")
    shutil.rmtree(root / "results")
    assert night(6) == (0, [5, 6])
    assert night(6) == (0, [])


def test_every_expected_row_is_counted_once():
    """Of five rows per commit, the interrupted commit has two measured and one late, the other none: ten in all."""
    place = {"session": "s", "env": "py3", "commit": "aaaaaaaa", "reason": ""}
    rows = [{**place, "row": name, "status": status} for name, status in (("a", "ok"), ("b", "disturbed"))]
    late = {**place, "row": "c", "status": "error", "reason": ENDED_BEFORE}
    health = Health()
    health.count(pd.DataFrame([*rows, late]), {"aaaaaaaa": "the night ended", "bbbbbbbb": "not built"}, per_commit=5)
    assert (health.measured, health.disturbed) == (1, 1)
    assert health.unscheduled == {"the session ended before": 1, "the night ended": 2, "not built": 5}


def test_a_file_of_another_tool_is_reported_before_anything_is_measured(night, root, capsys):
    """A line that no night wrote: the error has file, line and reason, exit code 2, and nothing was measured."""
    night(3)
    path = root / "results" / "bench" / "changes.jsonl"
    path.write_text('{"commit": "0123abcd"}\n{"version": 2}\n')
    assert night(6) == (2, [])
    assert f"{path} line 2: 'commit' is missing, expected text" in capsys.readouterr().err


def test_a_commit_that_does_not_build_affects_no_other(night, capsys):
    """Commit 4 is broken: 5 and 6 are measured, the night reports it and ends with 2, the next continues."""
    night(3)
    assert night(6, broken={4}) == (2, [4, 5, 6])
    assert "asv measured nothing at" in capsys.readouterr().err
    assert night(7) == (0, [7])


def test_new_commits_are_those_after_the_last_measured(tmp_path, root):
    """A new machine measures only HEAD; a known one what follows its newest result; long gaps are sampled."""
    commits = [commit[:8] for commit in history(root)]
    assert new_commits(root, set()) == commits[-1:]
    assert new_commits(root, {commits[3], commits[-3]}) == commits[-2:]
    assert new_commits(root, {commits[-1]}) == []
    gap = new_commits(root, {commits[0]})
    assert (len(gap), gap[-1]) == (MOST_COMMITS, commits[-1])


def test_measured_commits_are_read_from_the_names_of_result_files(tmp_path):
    """machine.json and side-cars are not results of a commit."""
    for name in ("machine.json", "0123abcd-shared-py3.11.json", "89abcdef-shared-py3.11.rows.jsonl"):
        Path(tmp_path, name).write_text("{}")
    assert measured(tmp_path) == {"0123abcd"}


def test_a_folder_without_history_is_a_clear_error(tmp_path):
    """Outside a repository the night cannot order commits."""
    with pytest.raises(Unmeasured, match="git has no history here"):
        commits_of(tmp_path)
