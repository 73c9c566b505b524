"""The pages show what the results hold, and a site is built whatever they hold."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import synthetic_results
import typer
from reading import read
from synthetic_results import COMMITS, ENV, MACHINE

from reports.__main__ import main
from reports.site import readme
from reports.site.build import NAVIGATION, build, mathematics
from reports.site.figure import figure
from reports.site.material import Material, gather
from reports.site.pages import history
from reports.site.pages.change_points import ChangePoints
from reports.site.view import Page
from reports.statistics import nights
from reports.statistics.changes import events, findings, histories

VOID = ("meta", "link", "br", "input", "hr", "img", "wbr")


def text(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


def words(site: Path, name: str) -> str:
    """A page's text without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text(site, name)))


class Balance(HTMLParser):
    """Collects tags that are never closed, and ids used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_tables_of_unchanged_rows_are_made_once(results: Path, tmp_path: Path, undrawn, monkeypatch) -> None:
    """A second site has the same bytes without making a row or reading a line; a row with other bytes is shown so."""
    copy = shutil.copytree(results, tmp_path / "results")

    def pages(name: str) -> dict[str, str]:
        folder = build(gather(copy, synthetic_results.losses()), tmp_path / name).parent
        return {one.name: text(folder, one.name) for one in folder.glob("loss-*.html")}

    first = pages("first")
    with monkeypatch.context() as only:
        only.delattr("reports.site.pages.rows._case")
        only.delattr("reports.record.stored.Stored.lines_of")
        assert pages("second") == first
    for path in (copy / MACHINE).glob("*.rows.jsonl"):
        path.write_text(re.sub(r'"peak_bytes": \d+', '"peak_bytes": 7654321', path.read_text()))
    changed = pages("third")
    assert all("7.30 MiB" in page for page in changed.values() if "<tbody>" in page)
    assert not any("7.30 MiB" in page for page in first.values())
    downloads = [
        text(tmp_path / "third", f"data/{path.name}") for path in (tmp_path / "third/data").glob("*.rows.jsonl")
    ]
    assert downloads
    assert all('"peak_bytes": 7654321' in one for one in downloads)


def test_every_page_is_well_formed(site: Path) -> None:
    """Tags are balanced, and no id occurs twice on a page, figures included."""
    for path in site.glob("*.html"):
        balance = Balance()
        balance.feed(path.read_text(encoding="utf-8"))
        assert balance.open == [], path.name
        assert len(balance.ids) == len(set(balance.ids)), path.name


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """Nothing that a browser fetches has the address of another machine."""
    for path in [*site.glob("*.html"), *site.glob("*.css"), *site.glob("*.js")]:
        fetched = re.findall(
            r"""(?:src|href|@import|url)\s*[=(]\s*["']?([^"'\s)>]+)""", path.read_text(encoding="utf-8")
        )
        assert [one for one in fetched if "//" in one] == [], path.name


def test_all_pages_exist_empty_or_not(site: Path, empty_site: Path) -> None:
    """The navigation and one page per loss exist without any result."""
    names = {name for name, _ in NAVIGATION} | {f"loss-{name}.html" for name in synthetic_results.losses()}
    assert names <= {path.name for path in site.glob("*.html")}
    assert names == {path.name for path in empty_site.glob("*.html") if path.name != "conformance-cross_entropy.html"}


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("index.html", "make report"),
        ("loss-mse_loss.html", "lossimpl compare mse_loss"),
        ("loading.html", "lossimpl loaders"),
        ("conformance.html", "lossimpl check"),
        ("history.html", "make nightly"),
        ("gate-self-test.html", "python -m reports gate --self-test"),
    ],
)
def test_an_empty_page_has_the_command_that_fills_it(empty_site: Path, page: str, command: str) -> None:
    """It is shown if nothing has been measured yet."""
    assert command in words(empty_site, page)


MEASURED = (
    *("index", "loss-mse_loss", "native", "ceilings", "agreement", "conformance", "conformance-cross_entropy"),
    *("loading", "history"),
)


@pytest.mark.parametrize("page", MEASURED)
def test_numbers_have_their_machine_environment_and_commit(site: Path, page: str) -> None:
    """They are on every page that shows numbers, with the day of the measurement."""
    shown = words(site, f"{page}.html")
    assert f"{MACHINE} (" in shown
    assert ENV in shown
    assert f"{COMMITS[-1][:8]} measured 2023-11-15" in shown


def test_index_answers_first(site: Path) -> None:
    """The fastest, both of its ratios with their intervals, and the counts of rows are on the first page."""
    page = words(site, "index.html")
    assert "Native is fastest in 2 of 2 losses that have an alternative." in page
    assert re.search(r"Best alternative 1\.1\d× \(1\.\d\d to 1\.\d\d×\) as fast as compiled", page)
    assert re.search(r"As people run it 2\.\d\d× \(2\.\d\d to 2\.\d\d×\) as fast as torch", page)
    for count in ("60 ok", "8 disturbed", "4 wrong", "8 unavailable"):
        assert count in page


def test_loss_page_has_contract_reading_table_and_data(site: Path) -> None:
    """Formula, result in a sentence, every measured row with its reason and command, and the raw data."""
    page = words(site, "loss-mse_loss.html")
    assert "Nobody, 1900" in page
    assert "For a training step of 16777216 in float32 on CPU, native is fastest" in page
    assert text(site, "loss-mse_loss.html").count("<tr>") == 1 + 40
    assert "value is 50000 ULP from the oracle" in page
    assert "lossimpl compare mse_loss --shape 16777216 --dtype bfloat16 --device cpu --mode step" in page
    assert len((site / "data" / "mse_loss.csv").read_text().splitlines()) == 1 + 40


def test_formula_is_typeset() -> None:
    """Subscripts and superscripts are HTML, and characters of a formula are escaped."""
    assert str(mathematics("w_y x^γ;  a < b")) == "w<sub>y</sub> x<sup>γ</sup><br>a &lt; b"
    assert str(mathematics("pos_weight")) == "pos_weight"


def test_history_shows_the_planted_change_only(site: Path) -> None:
    """torch takes 1.3 times as long in the second commit; nothing else changes by more than a few percent."""
    rows = re.findall(r"<tr>(.*?)</tr>", text(site, "history.html"), flags=re.DOTALL)
    moved = [row for row in rows if (ratio := re.search(r">([\d.]+)×<", row)) and not 0.9 < float(ratio[1]) < 1.1]
    assert len(moved) == 8
    assert all(">torch</span>" in row and "longer" in row for row in moved)


def test_history_is_an_overview_that_opens(site: Path) -> None:
    """One line per loss with the range of each implementation; the changes of single series are folded below it."""
    page = text(site, "history.html")
    overview, steps = page.split("<details")[:2]
    assert re.search(r"cross_<wbr>entropy</a></th>.*?>0\.9\d+ to 1\.\d\d× \(8\)</td>", overview, flags=re.DOTALL)
    assert "longer" in steps
    assert "longer" not in overview
    assert "<details open" not in page


def test_loading_ranks_no_wrong_data(site: Path) -> None:
    """The fastest settings deliver other data; the answer names the next ones and their tie."""
    page = words(site, "loading.html")
    assert "Use num_workers=2, batch_size=16: 1,010 samples/s, data bitwise same, stall 13 %, 380 MiB." in page
    assert "1 other setting is statistically tied with it" in page
    assert "wrong-data" in page


def test_loading_page_has_what_the_loader_search_found(site: Path) -> None:
    """A measurement, what an argument changes and what to do, and no lines of other kinds."""
    page = words(site, "loading.html")
    assert "Use DataLoader(num_workers=2): 5,000 samples/s." in page
    assert "Still data-bound: 40 % of the time" in page
    assert "in_order num_workers=2, batch_size=32, shuffle=True unstable from run to run" in page
    assert "leave in_order at True" in page
    assert "anything" not in page
    assert "shared memory is exhausted" in page


def test_conformance_cells_open_to_their_source(site: Path) -> None:
    """Input, expected and actual result and source of each cell are on the page of its loss."""
    page = words(site, "conformance-cross_entropy.html")
    assert "minus infinity ■ torch float32 CPU value is nan 1.31326 nan closed form: log(1 + e)" in page
    assert page.index("value is nan") < page.index("1.31326")  # the reason comes before the values
    for part in ("[-inf, 0, 1], target 1", "1.31326", "value is nan", "closed form: log(1 + e)"):
        assert part in page


def test_gate_page_has_its_error_rates(site: Path) -> None:
    """False alarms and found slowdowns come first, then every table of the record."""
    page = words(site, "gate-self-test.html")
    assert "It flagged 1 of 210 rows of identical code; it found 19 of 20 rows with a planted +20% busy." in page
    assert "share found" in page
    assert "0.950" in page


def test_readme_has_the_gates_error_rates(material) -> None:
    """README's section has the sentence and the table of the self-test."""
    sentence, table = list(readme.self_tests(material))
    assert "It flagged 1 of 210 rows of identical code" in sentence
    assert "| +20% busy | 20 | 19 | 22 |" in table


def test_environment_page_names_what_changed(site: Path) -> None:
    """Two manifests differ in one package."""
    assert "packages.torch : 9.9.8 → 9.9.9" in words(site, "environment.html")


def test_environments_stand_newest_first(site: Path) -> None:
    """Their file names begin with a hash, so only the dates of the commits give an order."""
    page = words(site, "environment.html")
    assert page.index(f"commit {COMMITS[1][:8]}") < page.index("Changes since") < page.index(f"commit {COMMITS[0][:8]}")


def test_manifest_links_have_a_target(site: Path) -> None:
    """Every row's manifest is on the environment page."""
    targets = set(re.findall(r'environment\.html#([^"]+)"', text(site, "loss-mse_loss.html")))
    assert targets
    assert targets <= set(re.findall(r' id="([^"]+)"', text(site, "environment.html")))


@pytest.mark.usefixtures("undrawn")
def test_two_machines_and_a_broken_file(tmp_path: Path) -> None:
    """Each machine has its own section and ranks; a file that could not be read is named, and the rest is shown."""
    folder = synthetic_results.write(tmp_path / "results", COMMITS[:1], ("float32",), ("mse_loss",))
    shutil.copytree(folder / MACHINE, folder / "another-machine")
    (folder / "another-machine" / "0123abcd-env.json").write_text("{")
    material = gather(folder, synthetic_results.losses())
    assert sorted(one.machine for one in material.current) == ["another-machine", MACHINE]
    site = build(material, tmp_path / "site").parent
    assert text(site, "loss-mse_loss.html").count("<h2>On CPU of ") == 2
    assert "another-machine/0123abcd-env.json : not JSON" in words(site, "index.html")
    assert words(site, "index.html").count("Native is fastest in 1 of 1 losses that have an alternative.") == 2


def test_traffic_of_old_rows_comes_from_the_loss(results: Path, tmp_path: Path) -> None:
    """Rows without a side-car have a throughput too: the traffic of the synthetic losses is 4 MB."""
    folder = Path(shutil.copytree(results, tmp_path / "results"))
    for path in folder.glob("*/*.rows.jsonl"):
        path.unlink()
    material = gather(folder, synthetic_results.losses())
    assert {traffic for one in material.shown for traffic in material.rows_of(one)["traffic"]} == {4e6}


def test_only_a_site_is_replaced(material: Material, tmp_path: Path) -> None:
    """A folder with other files is refused and not changed."""
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(typer.BadParameter, match="holds no site"):
        build(material, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years"


@pytest.mark.usefixtures("undrawn")
def test_change_points_are_named_and_marked(tmp_path: Path) -> None:
    """torch is slower from the ninth of sixteen commits on; it is found there, and nothing else is."""
    commits = [f"{place:x}" * 40 for place in range(16)]
    folder = synthetic_results.write(tmp_path / "results", tuple(commits), ("float32",), ("mse_loss",), changed_at=8)
    found = {page.name: page for page in history.pages(gather(folder, synthetic_results.losses()))}[
        "history.html"
    ].values
    table = found["changes"]
    assert {(row[1].text, row[4].text, row[5].text) for row in table.rows} == {("slower", "77777777", "88888888")}
    assert all("'torch'" in row[0].text for row in table.rows)
    assert found["events"] is None


@pytest.mark.usefixtures("undrawn")
def test_change_points_are_shown_as_nights_settled_them(tmp_path: Path) -> None:
    """torch is slower from the ninth of sixteen commits on in four rows.

    Pairs confirm one there and one at the tenth commit, refute one, and the fourth was not measured again.
    """
    commits = [f"{place:x}" * 40 for place in range(16)]
    folder = synthetic_results.write(tmp_path / "results", tuple(commits), ("float32",), changed_at=8)
    rows = sorted(row[0].text for row in _history(folder).values["changes"].rows)
    there = {"environment": ENV, "commit": "88888888", "before": "77777777", "stands": True}
    lines = [
        {**there, "row": rows[0], "again": "confirmed by 12 pairs"},
        {**there, "row": rows[1], "again": "see 99999999", "moved_to": "99999999"},
        {**there, "row": rows[1], "commit": "99999999", "before": "88888888", "again": "confirmed by 13 pairs"},
        {**there, "row": rows[2], "again": "refuted by 30 pairs: same", "stands": False},
    ]
    (folder / MACHINE / "changes.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    page = _history(folder)
    shown = {row[0].text: [row[place].text for place in (4, 5, 1, 3)] for row in page.values["changes"].rows}
    assert shown == {
        rows[0]: ["77777777", "88888888", "slower", "confirmed by 12 pairs"],
        rows[1]: ["88888888", "99999999", "slower", "confirmed by 13 pairs"],
        rows[3]: ["77777777", "88888888", "slower", "not yet"],
    }
    (refuted,) = page.values["refuted"].rows
    assert (refuted[0].text, refuted[1].text) == (rows[2], "refuted")
    assert refuted[3].text == "refuted by 30 pairs: same"


@pytest.mark.usefixtures("undrawn")
def test_a_refuted_change_is_no_finding_and_is_not_marked(tmp_path: Path) -> None:
    """If all changes are refuted, there is no table of change points and no figure marks their commit."""
    commits = [f"{place:x}" * 40 for place in range(16)]
    folder = synthetic_results.write(tmp_path / "results", tuple(commits), ("float32",), ("mse_loss",), changed_at=8)
    history_alone = change_points(read(folder).rows)
    lines = [{**nights.finding_line(one), "stands": False} for one in history_alone.standing]
    (folder / MACHINE / "changes.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    found = read(folder)
    assert history_alone.on(found.rows) == ["88888888"]
    assert change_points(found.rows, found.nights).on(found.rows) == []
    shown = _history(folder).values
    assert (shown["changes"], len(shown["refuted"].rows)) == (None, 2)


def change_points(rows: pd.DataFrame, nights: Any = ()) -> ChangePoints:
    """The change points of a whole frame as the page has them."""
    order = list(dict.fromkeys(rows.sort_values("date")["commit"]))
    series = histories(rows, order)
    return ChangePoints(findings(series), events(series, order), nights)


def _history(folder: Path) -> Page:
    (page,) = history.pages(gather(folder, synthetic_results.losses()))
    return page


@pytest.mark.usefixtures("undrawn")
def test_another_environment_is_an_event(results: Path, tmp_path: Path) -> None:
    """A new torch starts a new history, which is labelled and not a regression."""
    folder = Path(shutil.copytree(results, tmp_path / "results"))
    for path in (folder / MACHINE).glob(f"{COMMITS[1][:8]}-*"):
        path.rename(path.with_name(path.name.replace("torch9.9.9", "torch9.9.10")))
    found = history.pages(gather(folder, synthetic_results.losses()))[0].values
    new = ENV.replace("torch9.9.9", "torch9.9.10")
    assert [[cell.text for cell in row] for row in found["events"].rows] == [[MACHINE, "bbbbbbbb", f"{ENV} -> {new}"]]
    assert found["changes"] is None


def test_readme_picture_is_made_from_results(results: Path, tmp_path: Path) -> None:
    """Two runs write the same file, and a device without results is refused."""
    one, two = tmp_path / "one.svg", tmp_path / "two.svg"
    figure(results, one)
    figure(results, two)
    assert one.read_bytes() == two.read_bytes()
    assert b"<svg" in one.read_bytes()
    with pytest.raises(typer.BadParameter, match="has no ranked result on cuda"):
        figure(results, one, "cuda")


def test_unknown_command_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """A typo ends with exit code 2 and the known commands."""
    with pytest.raises(SystemExit, match="2"):
        main(["sight"])
    assert "command: 'sight' is unknown; one of site" in capsys.readouterr().err
