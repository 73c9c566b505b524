"""native against its alternatives, on rows written out here; every expected number is worked out by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from reports.site import readme
from reports.site.pages import native
from reports.statistics.comparison import comparisons, largest, means, slower_words


def row(implementation: str, value: float, **changes: Any) -> dict[str, Any]:
    """A correct row whose interval is five percent to each side."""
    return {
        **{"machine": "m", "env": "e", "loss": "l1_loss", "shape": "8x8", "dtype": "float32", "device": "cpu"},
        **{"mode": "step", "implementation": implementation, "status": "ok", "value": value, "low": 0.95 * value},
        **{"high": 1.05 * value, "share": 0.5, "elements": 64.0, "value_max_rel": 1e-7, "grad_max_rel": 2e-7},
        **changes,
    }


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows)


def test_ratios_are_the_alternatives_time_over_natives() -> None:
    """2 s over 0.5 s is four; an alternative that was not measured has no ratio."""
    (one,) = comparisons(frame(row("native", 0.5), row("torch", 2.0)))
    assert one.ratio("torch") == 4.0
    assert one.ratio("compiled") is None


def test_a_wrong_implementation_is_no_alternative() -> None:
    """Its time is not compared, however short it is."""
    (one,) = comparisons(frame(row("native", 1.0), row("torch", 0.1, status="wrong"), row("compiled", 3.0)))
    assert one.alternatives.keys() == {"compiled"}
    assert not one.slower


def test_slower_needs_intervals_apart() -> None:
    """Intervals of 1.00 and 0.95 overlap at five percent to each side, those of 1.00 and 0.8 do not."""
    (close,) = comparisons(frame(row("native", 1.0), row("torch", 0.95)))
    (apart,) = comparisons(frame(row("native", 1.0), row("torch", 0.8)))
    assert (close.slower, apart.slower) == (False, True)


def test_scores_take_the_largest_case_of_each_loss() -> None:
    """sqrt(2 * 8) = 4 is the mean of the large cases; the tiny one would change it."""
    cases = comparisons(
        frame(
            *(row("native", 1.0), row("torch", 2.0)),
            *(row("native", 1.0, shape="1x1", elements=1.0), row("torch", 100.0, shape="1x1", elements=1.0)),
            *(row("native", 1.0, loss="mse_loss", share=0.25), row("torch", 8.0, loss="mse_loss")),
        )
    )
    assert len(cases) == 3
    assert len(largest(cases)) == 2
    (one,) = means(cases)
    assert one.ratios["torch"] == (pytest.approx(4.0), 2)
    assert one.words("torch") == "4.00× (2 losses)"
    assert one.words("compiled") == "–"
    assert (one.shares, one.least) == ((0.25, 0.5), "mse_loss")


def test_the_page_and_readme_give_the_same_median_share() -> None:
    """The median of 25 % and 50 % is their mean, 37.5 %, in both."""
    one, other = {"share": 0.25}, {"share": 0.5, "loss": "mse_loss"}
    (found,) = means(comparisons(frame(row("native", 1.0, **one), row("native", 1.0, **other))))
    assert found.median_share == 0.375
    assert native.means_row(found)[4].text == "38 %"
    assert readme.share(found) == "median 38 %, least 25 % (l1_loss)"


def test_a_smaller_case_never_stands_in_for_the_largest() -> None:
    """In float16 only the tiny case was measured, so that dtype has no entry."""
    small = {"shape": "1x1", "elements": 1.0, "dtype": "float16"}
    cases = comparisons(
        frame(row("native", 1.0), row("torch", 2.0), row("native", 1.0, **small), row("torch", 9.0, **small))
    )
    assert [one.dtype for one in means(cases)] == ["float32"]


def test_the_sentence_counts_cases_that_have_an_alternative() -> None:
    """Three cases: native slower in one, faster in one, and alone in one."""
    slow = [row("native", 2.0), row("torch", 1.0)]
    fast = [row("native", 1.0, shape="4x4"), row("torch", 2.0, shape="4x4")]
    cases = comparisons(frame(*slow, *fast, row("native", 1.0, shape="2x2")))
    assert len(cases) == 3
    assert slower_words(cases) == (
        "Native is significantly slower than the fastest alternative in 1 of 2 cases that have one"
    )
