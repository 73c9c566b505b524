"""Every page in a real browser: no errors, nothing fetched from elsewhere, nothing too wide."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the browser tests need Debian's chromium")

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: playwright.Browser) -> Iterator[playwright.Page]:
    """A page that fails its test if anything is written to the console or fetched from another machine."""
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    page.on("request", lambda one: complaints.append(one.url) if not one.url.startswith(("file:", "data:")) else None)
    yield page
    page.close()
    assert complaints == []


def open_all(page: playwright.Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("folder", ["site", "empty_site"])
def test_pages_fit_and_stay_silent(
    page: playwright.Page, folder: str, scheme: str, request: pytest.FixtureRequest
) -> None:
    """At phone and desktop width no page scrolls sideways, whether its details are closed or open."""
    page.emulate_media(color_scheme=scheme)
    for path in sorted(request.getfixturevalue(folder).glob("*.html")):
        page.goto(path.as_uri())
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
        open_all(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name


def test_no_link_is_broken(page: playwright.Page, site: Path) -> None:
    """Every link leads to a file of the site, and to an id there where it names one."""
    ids: dict[Path, set[str]] = {}
    links: list[tuple[str, str, str]] = []
    for path in sorted(site.glob("*.html")):
        page.goto(path.as_uri())
        ids[path] = set(page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)"))
        links += page.evaluate(
            "[...document.links].map(one => [document.location.pathname, decodeURI(one.pathname), one.hash])"
        )
    assert len(links) > 100
    for where, target, anchor in links:
        assert Path(target).is_file(), f"{where} links to {target}"
        assert not anchor or anchor[1:] in ids[Path(target)], f"{where} links to {target}{anchor}"


def test_table_sorts_by_keyboard(page: playwright.Page, site: Path) -> None:
    """Enter on a heading sorts by number, ascending then descending, and sets aria-sort."""
    page.goto((site / "loss-mse_loss.html").as_uri())
    heading = page.get_by_role("button", name="Time")
    heading.focus()
    page.keyboard.press("Enter")
    column = "[...document.querySelectorAll('table.data tbody tr')].map(one => Number(one.cells[5].dataset.sort))"
    up = [value for value in page.evaluate(column) if value]
    assert up == sorted(up)
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Time")
    page.keyboard.press("Enter")
    assert [value for value in page.evaluate(column) if value] == up[::-1]


def test_table_filters_by_words(page: playwright.Page, site: Path) -> None:
    """Two words leave the rows that contain both: 2 shapes x 2 modes of one implementation and dtype."""
    page.goto((site / "loss-mse_loss.html").as_uri())
    page.get_by_label("Filter rows").fill("native float32")
    assert page.locator("table.data tbody tr:visible").count() == 4


def test_figures_follow_the_colour_scheme(page: playwright.Page, site: Path) -> None:
    """The text of a figure has the colour of the page's text, light and dark."""
    page.goto((site / "loss-mse_loss.html").as_uri())
    inks = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        inks.append(page.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill"))
        assert inks[-1] == page.evaluate("getComputedStyle(document.body).color")
    assert inks[0] != inks[1]


def test_without_scripts_tables_are_complete(browser: playwright.Browser, site: Path) -> None:
    """Rows are HTML; scripts only sort and filter them."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "loss-mse_loss.html").as_uri())
    assert page.locator("table.data tbody tr").count() == 40
    context.close()


def test_the_age_of_a_machine_follows_the_clock_of_the_reader(page: playwright.Page, site: Path) -> None:
    """A day later it is some hours ago; ten days later the machine is marked as silent."""
    page.goto((site / "index.html").as_uri())
    at = datetime.fromisoformat(str(page.locator("time[data-late]").first.get_attribute("datetime")))
    for days, words, late in ((1, "(24 hours ago)", 0), (10, "(10 days ago: silent for longer than a night)", 1)):
        page.clock.set_fixed_time(at + timedelta(days=days))
        page.reload()
        assert words in page.locator(".heard li").first.inner_text()
        assert page.locator(".heard li.late").count() == late
