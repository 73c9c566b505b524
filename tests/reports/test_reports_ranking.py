"""Ranks, ties, headlines, answers and their sentence, on made-up numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from reports.record.reader import COLUMNS
from reports.site.figures.style import GLYPHS, LOOKS, look
from reports.statistics import roofline
from reports.statistics.answers import answer, answers, sentence
from reports.statistics.ranking import headlines, latest, ranked, smallest


def rows(*given: dict[str, Any]) -> pd.DataFrame:
    """Rows of one case, one millisecond each, with what `given` changes."""
    common = {
        "machine": "m", "env": "e", "commit": "c", "benchmark": "mse_loss.MSELoss.track_seconds", "loss": "mse_loss",
        "implementation": "native", "shape": "1000x1000", "dtype": "float32", "device": "cpu", "mode": "step",
        "status": "ok", "value": 1e-3, "low": 0.9e-3, "high": 1.1e-3, "traffic": 8e6, "ceiling": 16e9,
        "ceiling_name": "copy", "value_max_rel": 1e-7, "grad_max_rel": 2e-7,
        "started_at": pd.Timestamp(0), "date": pd.Timestamp(0),
    }  # fmt: skip
    records = [{**common, **one} for one in given]
    params = [(one["implementation"], one["shape"], one["mode"], one["dtype"]) for one in records]
    frame = pd.DataFrame(records).assign(params=params)
    return roofline.with_rates(frame.reindex(columns=COLUMNS))


def at(milliseconds: float, **given: Any) -> dict[str, Any]:
    times = {"value": milliseconds * 1e-3, "low": milliseconds * 0.99e-3, "high": milliseconds * 1.01e-3}
    return {**times, **given}


def test_wrong_and_impossible_rows_are_never_ranked() -> None:
    """The fastest row is wrong: it is listed after the ranked ones, without a rank."""
    case = ranked(
        rows(at(1, status="wrong", implementation="a"), at(2, status="impossible"), at(3, implementation="b"))
    )
    assert case["implementation"].tolist()[0] == "b"
    assert case["rank"].tolist()[0] == 1
    assert case["rank"].isna().tolist() == [False, True, True]


def test_rows_are_ranked_as_the_terminal_ranks_them() -> None:
    """1.00 and 1.01 overlap, 1.5 does not: ranks 1, 1, 3 by `lossimpl.ranking`, fastest first."""
    case = ranked(rows(at(1.5), at(1.01), at(1.0)))
    assert case[["value", "rank"]].values.tolist() == [[1.0e-3, 1], [1.01e-3, 1], [1.5e-3, 3]]


def test_a_row_without_an_interval_is_not_ranked() -> None:
    """The precision of its median is not known."""
    assert ranked(rows({"low": None, "high": None}))["rank"].isna().all()


def test_headline_prefers_step_float32_and_the_largest() -> None:
    """A training step in float32 at the largest size."""
    given = [{"shape": shape, "mode": mode} for shape in ("32x10", "512x32000") for mode in ("forward", "step")]
    found = headlines(rows(*given, {"shape": "2048x50257", "dtype": "bfloat16"}))
    assert found[["shape", "mode", "dtype"]].values.tolist() == [["512x32000", "step", "float32"]]


def test_headline_prefers_a_case_with_more_to_compare() -> None:
    """A size that two implementations reached comes before a larger one that only one reached."""
    given = [{"shape": "9x9"}, {"shape": "9x9", "implementation": "torch"}, {"shape": "99x99"}]
    assert headlines(rows(*given))["shape"].tolist() == ["9x9"]


def test_smallest_finds_the_case_of_overhead() -> None:
    """The small case is found beside the large one."""
    assert smallest(rows({"shape": "32x10"}, {"shape": "512x32000"}))["shape"].tolist() == ["32x10"]


def test_latest_takes_the_newest_and_no_skip_hides_it() -> None:
    """asv stores NaN for rows that a later run did not select."""
    days = [pd.Timestamp(day, unit="D") for day in range(3)]
    given = [at(1, date=days[0]), at(2, date=days[1]), {"date": days[2], "status": "skipped", "value": None}]
    assert latest(rows(*given))["value"].tolist() == [2e-3]


def test_speedup_and_its_bounds() -> None:
    """4 ms over 1 ms is 4, and the 1 % ends of both intervals give 3.96/1.01 and 4.04/0.99."""
    found = answers(rows(at(4, implementation="torch"), at(1)))[0]
    assert (found.fastest, found.baseline) == (("native",), "torch")
    assert found.speedup == pytest.approx((4, 3.96 / 1.01, 4.04 / 0.99))


def test_sentence_of_a_winner() -> None:
    """Time, interval, speed-up with bounds, share and error: 8 MB in 1 ms is half of 16 GB/s."""
    text = sentence(answers(rows(at(4, implementation="torch"), at(1)))[0])
    assert text == (
        "For a training step of 1000 × 1000 in float32 on CPU, native is fastest, at 1.00 ms per call, 95 % interval "
        "0.990 to 1.01 ms, 4.00× (3.92 to 4.08×) as fast as torch, 50 % of the copy ceiling, relative error at most "
        "2.0e-07."
    )


def test_sentence_of_a_tie_claims_no_winner() -> None:
    """Both are named, and no speed-up is."""
    text = sentence(answers(rows(at(1.005, implementation="torch"), at(1)))[0])
    assert "native and torch are statistically tied as the fastest" in text
    assert "as fast as" not in text


def test_sentence_when_torch_wins() -> None:
    """The sentence says by how much it is faster than the next."""
    text = sentence(answers(rows(at(1, implementation="torch"), at(3)))[0])
    assert "torch is fastest" in text
    assert "3.00× (2.94 to 3.06×) as fast as native" in text


def test_baseline_is_the_best_plain_code_where_torch_has_none() -> None:
    """Some losses are not in torch; compiled code is preferred to eager code as their baseline."""
    eager, compiled = at(40, implementation="vectorized"), at(4, implementation="compiled")
    assert answers(rows(eager, at(1)))[0].baseline == "vectorized"
    assert answers(rows(eager, compiled, at(1)))[0].baseline == "compiled"


def test_sentence_without_a_correct_result() -> None:
    """It says that nothing could be ranked."""
    given = rows(at(1, status="wrong"))
    assert "no implementation gave a correct result" in sentence(answer(headlines(given).iloc[0], given))


def test_rates_from_traffic_and_time() -> None:
    """8 MB and a million elements in 1 ms: 8 GB/s, 1e9 elements/s, half of 16 GB/s; bounds from the interval."""
    row = rows(at(1)).iloc[0]
    assert (row["rate"], row["element_rate"], row["share"]) == (
        pytest.approx(8e9),
        pytest.approx(1e9),
        pytest.approx(0.5),
    )
    assert (row["rate_low"], row["rate_high"]) == (pytest.approx(8e9 / 1.01), pytest.approx(8e9 / 0.99))


@pytest.mark.parametrize("shape", ["", "x", "3x", "-1", "3.5", "3 x 4"])
def test_elements_refuses_what_is_not_a_shape(shape: str) -> None:
    """The message names the argument, the value and what is allowed."""
    with pytest.raises(ValueError, match=r"shape: .*expected sizes joined by x"):
        roofline.elements(shape)


def test_a_row_whose_shape_is_unreadable_affects_no_other() -> None:
    """The parameters of a user's own benchmark may be anything."""
    assert rows({"shape": "large"}, {})["elements"].isna().tolist() == [True, False]


def test_headline_prefers_the_large_case_over_one_more_small_one() -> None:
    """More than two implementations on a small input do not make it the headline."""
    small = [{"shape": "9x9", "implementation": name} for name in ("native", "torch", "naive")]
    large = [{"shape": "99x99", "implementation": name} for name in ("native", "torch")]
    assert headlines(rows(*small, *large))["shape"].tolist() == ["99x99"]


def test_implementations_have_distinct_looks() -> None:
    """Each implementation that we benchmark has its own colour and marker; an unknown one's is always the same."""
    looks = [look(name) for name in LOOKS]
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == len(LOOKS)
    assert look("somebody") == look("somebody")
    assert {marker for _, marker in (*looks, look("somebody"))} <= set(GLYPHS)
