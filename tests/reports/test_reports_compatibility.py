"""The compatibility page and docs/compatibility.md show what `lossimpl check --ways` stored."""

from __future__ import annotations

import pytest

import lossimpl
from lossimpl.conformance import ways
from reports.record.lists import WAYS, listed
from reports.site.pages import compatibility


def record(**changes: object) -> dict[str, object]:
    """A stored cell."""
    base: dict[str, object] = dict.fromkeys(compatibility.COUNTS, 0)
    return base | {"way": "call", "status": "works", "reasons": [], "torch": "2.13.0"} | changes


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("✓ 7", {"passed": 7}),
        ("✗ 5 / 7", {"passed": 5, "failed": 2, "status": "fails"}),
        ("✓ 5 / 6", {"passed": 5, "refused": 1}),
        ("–", {"refused": 3, "status": "refuses"}),
        ("✓ 1,205, 3 n/a", {"passed": 1205, "inapplicable": 3}),
        ("n/a", {"inapplicable": 3, "status": "not applicable"}),
    ],
)
def test_words_of_a_cell(expected: str, changes: dict[str, object]) -> None:
    """A mark and the counts; cases that are not applicable are counted apart."""
    assert compatibility.words(record(**changes)) == expected


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("✓ 9, 1 n/a", {"passed": 2, "inapplicable": 1}),
        ("✗ 9 / 10", {"passed": 2, "failed": 1, "status": "fails"}),
        ("✓ 7 / 10", {"refused": 3, "status": "refuses"}),
    ],
)
def test_the_counts_of_all_losses_add_up(expected: str, changes: dict[str, object]) -> None:
    """Seven cases of one loss hold, beside those of another; one failure makes the sum a failure."""
    cells = [record(passed=7, implementation="native"), record(implementation="native", **changes)]
    assert compatibility.words(compatibility.over_losses(cells)["call"]["native"]) == expected


def test_the_stored_cells_are_known() -> None:
    """Every stored cell is of a way, loss and implementation that the command still asks for."""
    found, problems = listed(WAYS)
    assert not problems
    for one in found:
        assert one["way"] in ways.RUNS
        assert one["way"] in compatibility.WAYS
        assert one["loss"] in lossimpl.LOSSES
        assert one["implementation"] in ways.IMPLEMENTATIONS


def test_the_document_is_the_stored_result() -> None:
    """docs/compatibility.md is what `python -m reports readme` writes from docs/ways.jsonl."""
    written = WAYS.with_name("compatibility.md").read_text()
    assert written == "\n\n".join(compatibility.markdown(listed(WAYS)[0])) + "\n"
