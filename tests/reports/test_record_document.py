"""docs/record.md says what the readers do, and real files of every kind pass."""

from __future__ import annotations

from pathlib import Path

from reports.record.document import PAGE, page
from reports.record.reader import read


def test_the_page_is_that_of_the_schema() -> None:
    """`python -m reports.record.document` writes it."""
    assert PAGE.read_text() == page()


def test_the_sample_files_are_read_without_a_problem() -> None:
    """Three rows, a session, a manifest, two hard cases and three documents, as machines wrote them."""
    found = read(Path(__file__).parent / "samples")
    assert found.problems == ()
    assert (found.rows["session"] != "").sum() == 3
    assert (len(found.sessions), len(found.manifests), len(found.conformance)) == (1, 1, 2)
    assert len(found.sweep_tests) == len(found.loader_tests) == 1
