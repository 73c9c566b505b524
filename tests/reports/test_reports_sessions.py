"""Pages keep sessions apart: each fault that they must not show is planted in a record, and looked for on the pages."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
import synthetic_sessions as sessions

from reports.record.rows import Row
from reports.site import readme
from reports.site.build import build
from reports.site.figure import newest
from reports.site.material import Material, gather
from reports.site.pages import reproducibility
from reports.statistics.answers import answers
from reports.statistics.comparison import comparisons

MSE = "mse_loss.MseLoss.track_seconds"
NAMES = ("native", "torch", "compiled", "torch-compiled")
LARGE, SMALL = "16384x1024", "32x10"
pytestmark = pytest.mark.usefixtures("undrawn")


def rows(names: Iterable[str] = NAMES, modes: Iterable[str] = ("reuse", "step"), shape: str = LARGE) -> list[Row]:
    """The rows of these implementations and modes, in float32 on CPU."""
    return [Row(MSE, (name, shape, "float32", "cpu", mode)) for mode in modes for name in names]


def session(folder: Path, name: str, given: Iterable[Row] | None = None, slower: float = 1.0, **about: object) -> Path:
    """A session of these rows, all quiet, `slower` times as slow as the model."""
    records = [
        sessions.record(row, name, [slower * one for one in sessions.times(row, name)])
        for row in (rows() if given is None else given)
    ]
    return sessions.write(folder, records, name, **about)


def words(material: Material, folder: Path, page: str) -> str:
    """A page's text without its tags."""
    html = (build(material, folder / "site").parent / f"{page}.html").read_text()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_card_leads_with_the_best_alternative_under_the_same_allocator(tmp_path: Path) -> None:
    """First native against the faster of the compiled ones in `reuse`, then against torch in `step`; both are named."""
    page = words(gather(session(tmp_path / "results", "s")), tmp_path, "index")
    lead = (
        r"16384 × 1024 · float32 · reuse ● native Best alternative, same allocator ([\d.]+)× \(.*?\) as fast as (\S+)"
    )
    ratio, name = re.search(lead, page).groups()
    assert name in ("compiled", "torch-compiled")
    eager = float(re.search(r"As people run it ([\d.]+)× \(.*?\) as fast as torch", page)[1])
    assert eager > 5 * float(ratio)  # the model: a share of 0.05 for torch in a step, and of 0.6 in `reuse`


def test_no_headline_has_a_disturbed_row(tmp_path: Path) -> None:
    """`compiled` in `reuse` was disturbed, and by far the fastest: it is greyed, and neither wins nor is compared."""
    folder = session(tmp_path / "results", "s", [row for row in rows() if row.params[::4] != ("compiled", "reuse")])
    row = Row(MSE, ("compiled", LARGE, "float32", "cpu", "reuse"))
    sessions.write(folder, [sessions.record(row, "s", [1e-6] * 5, busy=[1, 2, 3])], "s")
    material = gather(folder)
    (found,) = answers(material.rankings_of(material.current[0]))
    assert "compiled" not in found.case.fastest
    assert found.claim is None
    page = words(material, tmp_path, "index")
    assert "undecided Best alternative, same allocator disturbed: compiled" in page
    assert "Native is fastest in 1 of 2 cases that have an alternative; undecided in 1." in page
    assert "compiled" not in set(newest(material, "cpu")["implementation"])
    table = (tmp_path / "site" / "loss-mse_loss.html").read_text()
    (greyed,) = [one for one in re.findall(r"<tr>.*?</tr>", table, flags=re.DOTALL) if "greyed" in one]
    assert "3 of 5 rounds were disturbed, the first because other processes took 48%" in greyed
    assert "no interval" in greyed


def test_no_ratio_mixes_two_sessions_of_a_commit(tmp_path: Path) -> None:
    """native was measured in one session and torch in another, at the same commit: there is nothing to compare."""
    folder = session(tmp_path / "results", "s", rows(["torch"]), began_at="2026-11-27T10:00:00+00:00")
    session(folder, "t", rows(["native"]), began_at="2026-11-27T11:00:00+00:00")
    material = gather(folder)
    (shown,) = material.current
    assert shown.id == "t"
    (one, other) = comparisons(material.rankings_of(shown))
    assert (one.alternatives, other.alternatives) == ((), ())
    assert "as fast as" not in words(material, tmp_path, "index")
    assert "torch" not in {row["implementation"] for row in material.rows_of(shown).to_dict("records")}


@pytest.mark.parametrize("changed", [{"commit": "d" * 40}, {"env": "another-env"}, {"machine": "another-machine"}])
def test_no_ratio_mixes_commits_environments_or_machines(tmp_path: Path, changed: dict[str, str]) -> None:
    """The same, with the two halves in different places; no page compares them."""
    folder = session(tmp_path / "results", "s", rows(["torch"]), began_at="2026-11-27T10:00:00+00:00")
    session(folder, "t", rows(["native"]), began_at="2026-11-27T11:00:00+00:00", **changed)
    material = gather(folder)
    assert all(not one.alternatives for shown in material.shown for one in comparisons(material.rankings_of(shown)))
    for page in ("index", "loss-mse_loss", "native"):
        assert "as fast as" not in words(material, tmp_path, page)


def test_two_machines_of_one_kind_are_two_machines(tmp_path: Path) -> None:
    """Same processor, same environment, same commit: a section, a claim and ranks for each, and no row of the other."""
    folder = session(tmp_path / "results", "s", machine="epyc-2c-aaaaaa")
    session(folder, "t", slower=3.0, machine="epyc-2c-bbbbbb")
    for machine in ("epyc-2c-aaaaaa", "epyc-2c-bbbbbb"):
        (folder / machine / "machine.json").write_text(json.dumps({"cpu": "EPYC", "num_cpu": "2"}))
    material = gather(folder)
    for shown, other in zip(material.current, material.current[::-1], strict=True):
        assert set(material.rows_of(shown)["machine"]) == {shown.machine} != {other.machine}
    page = words(material, tmp_path, "index")
    assert page.count("Native is fastest in 1 of 1 losses that have an alternative.") == 2
    assert "On CPU of epyc-2c-aaaaaa" in page
    assert "epyc-2c-bbbbbb (EPYC, 2 cores)" in page
    first, second = (one.case.rows for shown in material.current for one in answers(material.rankings_of(shown)))
    assert {row["machine"] for row in first}.isdisjoint(row["machine"] for row in second)


def test_rows_of_the_old_protocol_are_shown_and_never_ranked(tmp_path: Path) -> None:
    """One process per row: every row is greyed and marked, and no page ranks, claims or draws it."""
    old = [{**row.record, "samples": [sessions.model(row)] * 12, "status": "ok"} for row in rows()]
    material = gather(sessions.write(tmp_path / "results", old, "unused"))
    assert [one.id for one in material.current] == [""]
    page = words(material, tmp_path, "index")
    assert "Measured by the old protocol, one process per row" in page
    assert "as fast as" not in page
    table = (tmp_path / "site" / "loss-mse_loss.html").read_text()
    assert table.count("greyed") == table.count("one process</span>") == len(old)
    assert "no interval" in table
    where, cases = readme.newest(material, "cpu")
    assert "one process per row" in where
    written = "\n".join([*readme.summary(where, cases), *readme.all_cases(where, cases)])
    assert "So nothing is ranked or divided by anything else" in written
    assert re.search(r"\| mse_loss \| 16384x1024 \| float32 \| reuse \|( [\d.]+ ms \|){4} – ", written)
    assert "×" not in written
    assert newest(material, "cpu").empty


def test_the_newest_session_speaks_and_older_ones_are_history(tmp_path: Path) -> None:
    """torch was three times as fast yesterday: no page's ratio knows it."""
    folder = session(tmp_path / "results", "s", began_at="2026-11-26T10:00:00+00:00", commit="b" * 40)
    session(folder, "t", slower=3.0, began_at="2026-11-27T10:00:00+00:00")
    material = gather(folder)
    assert [one.id for one in material.current] == ["t"]
    assert [one.id for one in material.sessions] == ["t", "s"]
    page = words(material, tmp_path, "index")
    assert "session t (quick grid)" in page
    assert "session s" not in page
    assert "The newest commit of each case over the one before it" in words(material, tmp_path, "history")


def test_a_session_that_decides_nothing_hides_none_that_does(tmp_path: Path) -> None:
    """The newer one was interrupted in its third round; the older one still speaks, under its own day."""
    folder = session(tmp_path / "results", "s", began_at="2026-11-26T10:00:00+00:00")
    cut_off = [sessions.record(row, "t", sessions.times(row, "t", rounds=2)) for row in rows()]
    sessions.write(folder, cut_off, "t", began_at="2026-11-27T10:00:00+00:00")
    material = gather(folder)
    assert [one.id for one in material.current] == ["s"]
    assert "measured 2026-11-26, session s" in words(material, tmp_path, "index")
    assert "8 of 8" in words(material, tmp_path, "environment")


def test_a_disturbed_session_hides_no_quiet_one(tmp_path: Path) -> None:
    """The newer one can rank one row of eight: the older one still speaks, and the front page names no other.

    Alone, it is shown for what it is: one card with nothing to say is a line with its reason.
    """
    folder = session(tmp_path / "results", "s", began_at="2026-11-26T10:00:00+00:00")
    first, *others = rows()
    busy = [sessions.record(row, "t", sessions.times(row, "t"), [1, 2, 3]) for row in others]
    records = [sessions.record(first, "t", sessions.times(first, "t")), *busy]
    sessions.write(folder, records, "t", began_at="2026-11-27T10:00:00+00:00")
    material = gather(folder)
    assert [(one.id, one.decided) for one in material.sessions] == [("t", 1 / 8), ("s", 1.0)]
    assert [one.id for one in material.current] == ["s"]
    assert "1 newer session could rank too few rows to be shown" in words(material, tmp_path, "index")
    alone = sessions.write(tmp_path / "alone", records, "t")
    page = words(gather(alone), tmp_path, "index")
    assert "Most rows of this session were disturbed" in page
    assert re.search(r"Undecided mse_ loss disturbed: torch, compiled and torch-compiled", page)


def test_the_table_of_all_cases_is_of_the_newest_whole_grid(tmp_path: Path) -> None:
    """A quick session is newer, but the table of all cases stays with the session that measured them."""
    both = [*rows(), *rows(shape=SMALL, modes=["step"])]
    folder = session(tmp_path / "results", "s", both, began_at="2026-11-26T10:00:00+00:00", grid="table")
    session(folder, "t", began_at="2026-11-27T10:00:00+00:00")
    material = gather(folder)
    assert ([one.id for one in material.current], [one.id for one in material.tables]) == (["t"], ["s"])
    where, cases = readme.newest(material, "cpu")
    assert "session s (table grid)" in where
    assert len(cases) == 3
    assert "session s (table grid)" in words(material, tmp_path, "native")
    assert "session t (quick grid)" in words(material, tmp_path, "index")
    assert re.findall(r"On CPU \((\w+) grid", words(material, tmp_path, "loss-mse_loss")) == ["quick", "table"]


def test_a_disturbed_session_is_no_point_of_a_history(tmp_path: Path) -> None:
    """The third of three commits was disturbed: the newest comparison is of the first two."""
    folder = tmp_path / "results"
    for day, commit in enumerate("abc", start=1):
        busy = [1, 2, 3] if commit == "c" else []
        records = [sessions.record(row, commit, sessions.times(row, commit), busy) for row in rows()]
        began = f"2026-11-0{day}T10:00:00+00:00"
        sessions.write(folder, records, commit, commit=commit * 40, began_at=began)
    page = words(gather(folder), tmp_path, "history")
    assert "2 commits, the newest bbbbbbbb measured 2026-11-02" in page
    assert "cccccccc" not in page


def test_ceilings_are_pooled_per_session(tmp_path: Path) -> None:
    """One line per level and kind, with an interval; the model's ceiling is 11.7 GB/s, times 2 % of noise."""
    page = words(gather(session(tmp_path / "results", "s")), tmp_path, "ceilings")
    assert re.search(r"CPU main memory copy 11\.\d GB/s 1\d\.\d GB/s to 1\d\.\d GB/s 2 ", page)


def test_readme_names_session_and_counts(tmp_path: Path) -> None:
    """Where, how often native is fastest, one line per dtype and mode with the best alternative first, and coverage."""
    folder = session(tmp_path / "results", "s", grid="table")
    sessions.selftest(folder)
    material = gather(folder)
    text = "\n".join([*readme.summary(*readme.newest(material, "cpu")), *readme.self_tests(material)])
    assert "commit cccccccc measured 2026-11-27, session s (table grid)" in text
    assert "Native is fastest in 2 of 2 cases that have an alternative." in text
    assert re.search(r"\| float32, reuse \| 1 \| 1\.\d\d× .*\n\| float32, step \| 1 \| ", text)
    assert "| ratio of two implementations | 192 | 200 | 96 % | 5 % |" in text
    assert "disjoint in 1 of 123 comparisons" in text
    (line,) = [
        one for one in "\n".join(readme.all_cases(*readme.newest(material, "cpu"))).splitlines() if "reuse |" in one
    ]
    assert re.search(r"fastest \| [\d.]+× \([\d.]+ to [\d.]+×\) \| [\d.]+× \(", line)


def test_the_coverage_of_each_machine_is_on_the_site(tmp_path: Path) -> None:
    """On a page of its own, and in a sentence on the first."""
    folder = session(tmp_path / "results", "s")
    sessions.selftest(folder)
    material = gather(folder)
    assert "96 % of 200 intervals of ratios held the next session’s estimate" in words(material, tmp_path, "index")
    page = words(material, tmp_path, "reproducibility")
    assert "ratio of two implementations 192 200 96 % 5 % share of the ceiling 276 300 92 % 7 %" in page
    assert "time per call 264 300 88 % 12 %" in page
    assert "41 % of the variance of a time lies between sessions" in page
    assert "A session had 5 rounds; 9 would give half of the ratios an interval of at most 5 %" in page


@pytest.mark.parametrize(
    "record",
    [{}, {"coverage": None}, {"coverage": {"ratio": {"rows": 0, "covered": 0}}}, {"coverage": {"time": {"rows": 3}}}],
)
def test_a_self_test_that_lacks_fields_is_shown_as_far_as_it_goes(tmp_path: Path, record: dict[str, object]) -> None:
    """Neither the pages nor README fail, and nothing is invented."""
    folder = session(tmp_path / "results", "s")
    (folder / "synthetic-machine" / "sweep-selftest.json").write_text(json.dumps(record))
    material = gather(folder)
    assert "synthetic-machine" in words(material, tmp_path, "reproducibility")
    assert list(reproducibility.words(record)) == []
    assert len(list(readme.self_tests(material))) in (1, 2)


def test_loader_settings_of_two_machines_are_ranked_apart(tmp_path: Path) -> None:
    """The slower machine's best settings are its answer, although the other machine is ten times as fast."""
    for machine, rate in (("one", 100.0), ("two", 1000.0)):
        lines = [
            {
                "benchmark": "loading.Loading.track_seconds_per_sample",
                "params": ["'digits'", repr(workers), "False", "64"],
                "dataset": "digits",
                "scenario": {"num_workers": workers},
                "status": "ok",
                "session": "s",
                "epoch_rate": rate / (1 + workers),
                "epoch_rate_low": 0.99 * rate / (1 + workers),
                "epoch_rate_high": 1.01 * rate / (1 + workers),
            }
            for workers in (0, 1)
        ]
        sessions.write(tmp_path / "results", lines, "s", machine=machine)
    page = words(gather(tmp_path / "results"), tmp_path, "loading")
    assert "digits on one Use num_workers=0: 100 samples/s" in page
    assert "digits on two Use num_workers=0: 1,000 samples/s" in page


def test_the_rate_of_reproduction_is_on_the_site(tmp_path: Path) -> None:
    """18 of 20 decided rows are 90 % (68 to 99 %) by Clopper and Pearson; a row that is not reproduced says why."""
    folder = session(tmp_path / "results", "s")
    verdicts = ["reproduced"] * 18 + ["not reproduced"] * 2 + ["inconclusive"] * 5
    found = [{"id": f"{place:012x}", "title": "mse_loss torch", "verdict": one} for place, one in enumerate(verdicts)]
    found[18]["lines"] = ["value: 1 ULP apart"]
    record = {"machine": "synthetic-machine", "measured_at": "2026-11-28T20:00:00+00:00", "revision": "0123456789"}
    record |= {"rounds": 20, "sampled": 25, "comparable": 100, "altered": 1, "rows": found}
    (folder / "synthetic-machine" / "replay.json").write_text(json.dumps(record))
    material = gather(folder)
    assert not material.problems
    page = words(material, tmp_path, "reproducibility")
    assert (
        "Reproduced: 18 of 20 decided rows, 90 % (68 to 99 %); inconclusive: 5; not comparable: 0; altered: 1." in page
    )
    assert "25 of 100 rows were drawn at random on 2026-11-28 and measured again by commit 01234567" in page
    assert "mse_loss torch not reproduced 000000000012 value: 1 ULP apart" in page


def test_environments_stand_side_by_side(tmp_path: Path) -> None:
    """Two machines that differ in processor and numpy: one column each, the processor first, what is equal left out."""
    folder = session(tmp_path / "results", "s")
    one = {"id": "a" * 12, "cpu": {"model": "A", "cores": 2}, "packages": {"numpy": "2.1"}, "revision": "x"}
    other = {"id": "b" * 12, "cpu": {"model": "B", "cores": 2}, "packages": {"numpy": "2.3"}, "revision": "y"}
    (path,) = folder.glob("*/*.rows.jsonl")
    name = path.name.replace(".rows.", ".manifest.")
    shutil.copytree(path.parent, folder / "other-machine")
    path.with_name(name).write_text(json.dumps(one) + "\n")
    (folder / "other-machine" / name).write_text(json.dumps(other) + "\n")
    page = words(gather(folder), tmp_path, "environment")
    table = page[page.index("Environments side by side") : page.index("What a change of packages")]
    assert {"cpu.model", "packages.numpy"} == {*re.findall(r"cpu\.\w+|packages\.\w+|revision", table)}
    assert table.index("cpu.model") < table.index("packages.numpy")
    assert {*re.search(r"cpu\.model (\S) (\S) packages.numpy (\S+) (\S+)", table).groups()} == {"A", "B", "2.1", "2.3"}
