"""native against its alternatives, on rows written out by hand; every expected number is worked out by hand."""

from __future__ import annotations

import pytest
from rows_of_a_case import disturbed, frame, ranked, row

from reports.site import readme
from reports.site.pages import loss, native
from reports.statistics.comparison import Comparison, comparisons, count_words, largest, means
from reports.statistics.ranking import rankings

NOISY = (1.0, 1.4, 0.8, 1.3, 0.9)


def compared(*rows: dict[str, object]) -> Comparison:
    """The only case of the rows."""
    return Comparison(ranked(*rows))


def cases(*rows: dict[str, object]) -> list[Comparison]:
    """All cases of the rows."""
    return comparisons(rankings(frame(*rows)))


def test_ratios_are_the_alternatives_time_over_natives() -> None:
    """2 s over 0.5 s is four; an alternative that was not measured has no ratio."""
    one = compared(row("native", 0.5), row("torch", 2.0))
    assert one.against(one.alternative("eager")).ratio.value == pytest.approx(4.0)
    assert one.against(one.alternative("compiled")) is None


def test_a_wrong_implementation_is_no_alternative() -> None:
    """Its time is not compared, however short it is."""
    one = compared(row("native", 1.0), row("torch", 0.1, status="wrong"), row("compiled", 3.0))
    assert [other["implementation"] for other in one.alternatives] == ["compiled"]
    assert one.verdict == "fastest"


def test_our_reference_code_is_no_alternative_where_torch_has_the_loss() -> None:
    """naive never is one; vectorized is the eager code of a loss that torch has not."""
    ours = [row("native", 1.0), row("vectorized", 2.0), row("naive", 3.0)]
    assert [other["implementation"] for other in compared(*ours).alternatives] == ["vectorized"]
    with_torch = compared(*ours, row("torch", 2.0))
    assert [other["implementation"] for other in with_torch.alternatives] == ["torch"]


def test_an_implementation_of_another_package_is_an_alternative() -> None:
    """native is slower than it, so native is not the fastest."""
    assert compared(row("native", 2.0), row("torch", 3.0), row("liger", 1.0)).verdict == "slower"


def test_the_figure_of_ratios_shows_a_plug_in_beside_the_others() -> None:
    """2 s and 3 s over 1 s; our reference code has no place in it."""
    points = loss._ratios([compared(row("native", 1.0), row("torch", 2.0), row("halves", 3.0), row("naive", 9.0))])
    assert {one["implementation"]: round(one["value"], 6) for one in points} == {"torch": 2.0, "halves": 3.0}


def test_verdicts_need_paired_ratios_apart_from_one() -> None:
    """1.1 times as long in every round is slower; independent times within half of each other are tied."""
    assert compared(row("native", 1.1, NOISY), row("torch", 1.0, NOISY)).verdict == "slower"
    assert compared(row("native", 1.0, NOISY), row("torch", 1.0, NOISY[::-1])).verdict == "tied"


def test_a_disturbed_alternative_leaves_a_case_undecided() -> None:
    """It might be faster; but a case in which native is slower than another one is decided."""
    undecided = [row("native", 1.0), row("torch", 2.0), disturbed("compiled", 3.0)]
    assert compared(*undecided).verdict == "undecided"
    assert compared(*undecided, row("torch-compiled", 0.5)).verdict == "slower"


def test_a_disturbed_native_leaves_a_case_undecided() -> None:
    """There is no claim, and the reason is named."""
    one = compared(disturbed("native", 1.0), row("torch", 2.0))
    assert (one.verdict, one.best, one.doubt) == ("undecided", None, "disturbed: native")


def test_rows_that_share_too_few_rounds_have_no_claim() -> None:
    """Each has four quiet rounds of seven, of which they share one: a ratio without an interval decides nothing."""
    early, late = (dict.fromkeys(numbers, 1.0) for numbers in (range(1, 5), range(4, 8)))
    one = compared(row("native", 1.0, times=early), row("torch", 2.0, times=late))
    assert one.verdict == "undecided"
    assert one.against(one.eager).words == "undecided against torch: too few undisturbed rounds"


def test_means_take_the_largest_case_of_each_loss() -> None:
    """sqrt(2 * 8) = 4 is the mean of the large cases; the tiny one would change it."""
    found = cases(
        *(row("native", 1.0, share=0.5), row("torch", 2.0)),
        *(row("native", 1.0, shape="1x1"), row("torch", 100.0, shape="1x1")),
        *(row("native", 1.0, loss="l1_loss", share=0.25), row("torch", 8.0, loss="l1_loss")),
    )
    assert len(found) == 3
    assert len(largest(found)) == 2
    (one,) = means(found)
    assert one.words("eager") == "4.00× (2.00 to 8.00×)"
    assert one.words("compiled") == "–"
    assert one.least == "l1_loss"


def test_small_and_large_step_and_forward_are_never_averaged() -> None:
    """Each dtype and mode has a line of its own, of the largest cases only."""
    modes = [row(name, 1.0, mode=mode) for name in ("native", "torch") for mode in ("forward", "reuse", "step")]
    small = [row(name, 1.0, mode=mode, shape="1x1") for name in ("native", "torch") for mode in ("forward", "step")]
    found = list(means(cases(*modes, *small)))
    assert [(one.mode, one.losses) for one in found] == [("reuse", 1), ("step", 1), ("forward", 1)]


def test_a_disturbed_row_enters_no_mean() -> None:
    """Of two losses one has a disturbed torch: the mean is of the other, and says so."""
    found = cases(
        *(row("native", 1.0), row("torch", 2.0)),
        *(row("native", 1.0, loss="l1_loss"), disturbed("torch", 50.0, loss="l1_loss")),
    )
    (one,) = means(found)
    assert one.words("eager") == one.words() == "2.00× (1 loss)"


def test_the_page_and_readme_give_the_same_median_share() -> None:
    """The median of 25 % and 50 % is their mean, 37.5 %, in both."""
    (found,) = means(cases(row("native", 1.0, share=0.25), row("native", 1.0, share=0.5, loss="l1_loss")))
    assert found.median_share == 0.375
    assert native.means_row(found)[-2].text == "38 %"
    assert readme.share(found) == "median 38 %, least 25 % (mse_loss)"


def test_a_smaller_case_never_stands_in_for_the_largest() -> None:
    """In float16 only the tiny case was measured, so that dtype has no entry."""
    small = {"shape": "1x1", "dtype": "float16"}
    found = cases(row("native", 1.0), row("torch", 2.0), row("native", 1.0, **small), row("torch", 9.0, **small))
    assert [one.dtype for one in means(found)] == ["float32"]


def test_the_sentence_counts_cases_that_have_an_alternative() -> None:
    """Four cases: native slower in one, faster in one, undecided in one, and alone in one."""
    slow = [row("native", 2.0), row("torch", 1.0)]
    fast = [row("native", 1.0, shape="4x4"), row("torch", 2.0, shape="4x4")]
    busy = [row("native", 1.0, shape="3x3"), disturbed("torch", 2.0, shape="3x3")]
    found = cases(*slow, *fast, *busy, row("native", 1.0, shape="2x2"))
    assert len(found) == 4
    assert count_words(found) == (
        "Native is fastest in 1 of 3 cases that have an alternative; slower in 1, undecided in 1."
    )
