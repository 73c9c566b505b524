"""Claims about native against its rivals, on rows written out here: every expected number is worked out by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from reports.site import readme
from reports.site.pages import native
from reports.statistics.comparison import contests, largest, scores


def row(implementation: str, value: float, **changes: Any) -> dict[str, Any]:
    """A right row whose interval is five percent to each side."""
    return {
        **{"machine": "m", "env": "e", "loss": "l1_loss", "shape": "8x8", "dtype": "float32", "device": "cpu"},
        **{"mode": "step", "implementation": implementation, "status": "ok", "value": value, "low": 0.95 * value},
        **{"high": 1.05 * value, "share": 0.5, "elements": 64.0, "value_max_rel": 1e-7, "grad_max_rel": 2e-7},
        **changes,
    }


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows)


def test_ratios_are_the_rivals_time_over_natives() -> None:
    """2 s against 0.5 s is four times; a rival that was not measured has no ratio."""
    (one,) = contests(frame(row("native", 0.5), row("torch", 2.0)))
    assert one.ratio("torch") == 4.0
    assert one.ratio("compiled") is None


def test_a_wrong_rival_is_no_rival() -> None:
    """However fast it is: its time says nothing."""
    (one,) = contests(frame(row("native", 1.0), row("torch", 0.1, status="wrong"), row("compiled", 3.0)))
    assert one.rivals.keys() == {"compiled"}
    assert not one.slower


def test_slower_needs_intervals_apart() -> None:
    """1.00 against 0.95 overlap at five percent to each side; against 0.8 they do not."""
    (close,) = contests(frame(row("native", 1.0), row("torch", 0.95)))
    (apart,) = contests(frame(row("native", 1.0), row("torch", 0.8)))
    assert (close.slower, apart.slower) == (False, True)


def test_scores_take_the_largest_case_of_each_loss() -> None:
    """The tiny case would pull the mean: sqrt(2 * 8) = 4 counts the large ones alone."""
    cases = contests(
        frame(
            *(row("native", 1.0), row("torch", 2.0)),
            *(row("native", 1.0, shape="1x1", elements=1.0), row("torch", 100.0, shape="1x1", elements=1.0)),
            *(row("native", 1.0, loss="mse_loss", share=0.25), row("torch", 8.0, loss="mse_loss")),
        )
    )
    assert len(cases) == 3
    assert len(largest(cases)) == 2
    (score,) = scores(cases)
    assert score.over["torch"] == (pytest.approx(4.0), 2)
    assert score.gain("torch") == "4.0x (2 losses)"
    assert score.gain("compiled") == "-"
    assert (score.shares, score.least) == ((0.25, 0.5), "mse_loss")


def test_the_page_and_readme_give_the_same_median_share() -> None:
    """Of an even count the median is the mean of the middle two: of 25 % and 50 % it is 37.5 %, in both."""
    one, other = {"share": 0.25}, {"share": 0.5, "loss": "mse_loss"}
    (score,) = scores(contests(frame(row("native", 1.0, **one), row("native", 1.0, **other))))
    assert score.middle == 0.375
    assert native.score_row(score)[4].text == "38 %"
    assert readme.share(score) == "median 38 %, least 25 % (l1_loss)"


def test_a_smaller_case_never_stands_in_for_the_largest() -> None:
    """In float16 only the tiny case was measured: that dtype has no score."""
    small = {"shape": "1x1", "elements": 1.0, "dtype": "float16"}
    cases = contests(
        frame(row("native", 1.0), row("torch", 2.0), row("native", 1.0, **small), row("torch", 9.0, **small))
    )
    assert [score.dtype for score in scores(cases)] == ["float32"]
