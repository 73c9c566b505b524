"""docs/record.md says what the readers do, and real files of every kind pass."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from reading import read

from lossimpl import row
from lossimpl.loading import row as loading_row
from reports.record import schema
from reports.record.document import PAGE, page


def test_the_page_is_that_of_the_schema() -> None:
    """`python -m reports.record.document` writes it."""
    assert PAGE.read_text() == page()


def test_the_sample_files_are_read_without_a_problem() -> None:
    """Three rows, a session, a manifest, two hard cases and three documents, as machines wrote them."""
    found = read(Path(__file__).parent / "samples")
    assert found.problems == []
    assert (found.rows["session"] != "").sum() == 3
    assert (len(found.sessions), len(found.manifests), len(found.conformance)) == (1, 1, 2)
    assert len(found.sweep_tests) == len(found.loader_tests) == 1


@pytest.mark.parametrize(
    ("writer", "fields"), [(row.Row, schema.ROW), (row.Round, schema.ROUND), (loading_row.Row, schema.LOADER)]
)
def test_every_field_that_is_written_is_known(writer: type, fields: schema.Fields) -> None:
    """A field that the record does not know would be named as a problem on every page of a new session."""
    assert {field.name for field in dataclasses.fields(writer)} <= fields.keys()
