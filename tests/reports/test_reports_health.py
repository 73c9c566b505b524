"""What nights left is on the page: each outcome as what it was, and when each machine was last heard from."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest
import synthetic_results

from reports.record.stored import Stored
from reports.site import feed
from reports.site.build import build
from reports.site.material import gather
from reports.site.pages.health import OUTCOMES

ATOM = "{http://www.w3.org/2005/Atom}"
COMMIT = synthetic_results.COMMITS[-1][:8]
ROW = "mse_loss.MSELoss.track_seconds('native')"
CHANGE = {"row": ROW, "environment": "py3", "commit": COMMIT, "before": "a" * 8, "ratio": 1.25, "stands": True}
CHANGES = [CHANGE, {**CHANGE, "row": "refuted", "stands": False}, {"commit": COMMIT, "event": "py3 -> py4"}]


def night(number: int, outcome: str, **more: object) -> dict[str, object]:
    began = f"2023-11-{15 + number}T02:17:00+00:00"
    return {"night": f"n{number}", "began_at": began, "outcome": outcome, "expected": 9, "measured": 7, **more}


@pytest.fixture
def built(tmp_path: Path, undrawn: None) -> Path:
    """A site with one night per outcome, the last of them killed."""
    results = synthetic_results.write(tmp_path / "results")
    nights = [night(number, outcome) for number, outcome in enumerate(reversed(OUTCOMES))]
    nights[0] |= {"unscheduled": {"it could not be built": 2}, "problems": ["<b>no space left</b>"]}
    for name, lines in (("nightly", nights), ("changes", CHANGES)):
        path = results / synthetic_results.MACHINE / f"{name}.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return build(gather(results, synthetic_results.losses()), tmp_path / "site").parent


def test_every_outcome_is_named(built: Path) -> None:
    """The page of nights has each in words, rows that were never begun with their reason, and nothing as markup."""
    page = (built / "nights.html").read_text()
    assert [words for words in OUTCOMES.values() if f">{words}</td>" not in page] == []
    assert "2: it could not be built" in page
    assert "&lt;b&gt;no space left&lt;/b&gt;" in page
    assert "<b>" not in page


def test_the_front_page_says_when_a_machine_was_last_heard_from(built: Path) -> None:
    """The time stands in the page, for the reader's clock to compare; the last night was killed."""
    page = (built / "index.html").read_text()
    last = 15 + len(OUTCOMES) - 1
    assert f'<time datetime="2023-11-{last}T02:17:00+00:00" data-late="36">2023-11-{last} 02:17 UTC</time>' in page
    assert "last night: was killed, or still runs, 7 of 9 rows measured" in page
    assert (built / "data-problems.html").read_text().count("nightly.jsonl") == 0


def test_the_feed_has_what_stands(built: Path) -> None:
    """A change and an event, not what pairs refuted; building again gives the same bytes, so ids do not change."""
    feed = ET.parse(built / "feed.xml").getroot()
    titles = [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")]
    machine = synthetic_results.MACHINE
    assert sorted(titles) == [
        f"{COMMIT}: new environment: all rows on {machine}",
        f"{COMMIT}: slower, 1.25× as long: {ROW} on {machine}",
    ]
    ids = [entry.findtext(f"{ATOM}id") for entry in feed.iter(f"{ATOM}entry")]
    assert len(set(ids)) == 2
    before = (built / "feed.xml").read_bytes()
    build(gather(built.with_name("results"), synthetic_results.losses()), built)
    assert (built / "feed.xml").read_bytes() == before


def test_a_long_feed_keeps_the_newest_of_all_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three changes on two machines the two at the newest commits, newest first, each with its page, as text."""
    monkeypatch.setattr(feed, "MOST", 2)
    days = {"aaaaaaaa": 3, "bbbbbbbb": 1, "cccccccc": 2}
    dates = pd.Series({commit: pd.Timestamp(f"2026-11-0{day}", tz="UTC") for commit, day in days.items()})
    places = [("one", "aaaaaaaa"), ("two", "bbbbbbbb"), ("two", "cccccccc")]
    lines = [{**CHANGE, "machine": machine, "commit": commit, "again": "a < b"} for machine, commit in places]
    entries = list(ET.fromstring(feed.feed(lines, dates)).iter(f"{ATOM}entry"))
    assert [str(one.findtext(f"{ATOM}title"))[:8] for one in entries] == ["aaaaaaaa", "cccccccc"]
    assert {link.get("href") for one in entries for link in one.iter(f"{ATOM}link")} == {"history.html"}
    assert entries[0].findtext(f"{ATOM}content") == "a &lt; b"


def test_a_night_that_ends_replaces_its_beginning_in_the_archive(tmp_path: Path) -> None:
    """The record is read while the night runs and again after its end: there is one night, as it ended."""
    path = tmp_path / "results" / "bench" / "nightly.jsonl"
    path.parent.mkdir(parents=True)
    for outcome in ("began", "done"):
        path.write_text(json.dumps(night(1, outcome)) + "\n")
        assert [one["outcome"] for one in Stored.of(tmp_path / "results").health] == [outcome]
