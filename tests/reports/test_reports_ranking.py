"""Ranks, ties, the cases that stand for a loss, and the sentence, on rows written out by hand."""

from __future__ import annotations

import math

import pytest
from rows_of_a_case import EVEN, disturbed, frame, of_one_process, ranked, row

from reports.site.figures.style import GLYPHS, LOOKS, look
from reports.statistics import roofline
from reports.statistics.answers import answers, sentence, smallest
from reports.statistics.ranking import rankings, times_as_long

NOISY = (1.0, 1.4, 0.8, 1.3, 0.9)  # rounds that differ by half, as on a shared machine


def test_wrong_and_impossible_rows_are_never_ranked() -> None:
    """The fastest row is wrong: it comes after the ranked ones, without a rank."""
    found = ranked(row("a", 1e-3, status="wrong"), row("c", 2e-3, status="impossible"), row("b", 3e-3))
    assert [one["implementation"] for one in found.rows] == ["b", "a", "c"]
    assert found.fastest == ("b",)
    assert [math.isnan(one["rank"]) for one in found.rows] == [False, True, True]


def test_a_disturbed_row_is_never_ranked() -> None:
    """Its time is shown, but the slower one that nothing disturbed is first."""
    found = ranked(disturbed("torch", 1e-3), row("native", 3e-3))
    assert found.fastest == ("native",)
    assert found.get("torch")["value"] == pytest.approx(1e-3, rel=1e-3)


def test_a_row_of_the_old_protocol_is_never_ranked() -> None:
    """Seven samples of one process have no interval between runs."""
    found = ranked(of_one_process("native", 1e-3), of_one_process("torch", 2e-3))
    assert found.ranked == ()


def test_three_rounds_support_no_rank() -> None:
    """Two degrees of freedom make an interval of no use; four rounds are the fewest."""
    found = ranked(row("native", 1e-3, EVEN[:3]), row("torch", 2e-3, EVEN[:4]))
    assert found.fastest == ("torch",)


def test_ties_follow_from_ratios_that_are_paired_within_rounds() -> None:
    """Both times vary by half from round to round, together: their ratio is 1.1 in every round, which is no tie."""
    found = ranked(row("native", 1.0, NOISY), row("torch", 1.1, NOISY))
    assert [one["rank"] for one in found.rows] == [1, 2]
    assert found.rows[0]["high"] > found.rows[1]["low"]  # the intervals of the times overlap all the same


def test_times_that_vary_independently_are_tied() -> None:
    """The same times in another order of rounds: the ratio varies by half, and its interval holds 1."""
    found = ranked(row("native", 1.0, NOISY), row("torch", 1.1, NOISY[::-1]))
    assert found.fastest == ("native", "torch")


@pytest.mark.parametrize("name", ["machine", "env", "commit", "session", "shape", "dtype", "device", "mode", "loss"])
def test_no_ratio_mixes_two_of_anything(name: str) -> None:
    """Rows that differ in machine, environment, commit, session or case are ranked apart and have no ratio."""
    first, second = rankings(frame(row("native", 1.0), row("torch", 2.0, **{name: "2x2"})))
    assert (first.fastest, second.fastest) == (("native",), ("torch",))
    assert times_as_long(second.rows[0], first.rows[0]) is None


def test_reuse_stands_for_a_loss_before_step_and_forward() -> None:
    """Under the same allocator for all; of several sizes the largest, and float32 before other types."""
    given = [
        row(name, 1.0, mode=mode, shape=shape, dtype=dtype)
        for name in ("native", "torch")
        for mode in ("forward", "step", "reuse")
        for shape in ("32x10", "512x32000")
        for dtype in ("bfloat16", "float32")
    ]
    (found,) = answers(rankings(frame(*given)))
    case = found.case.case
    assert (case["mode"], case["shape"], case["dtype"]) == ("reuse", "512x32000", "float32")
    as_run = found.as_run.native
    assert (as_run["mode"], as_run["shape"], as_run["dtype"]) == ("step", "512x32000", "float32")


def test_a_case_with_something_to_compare_stands_before_one_without() -> None:
    """native alone at the larger size is no answer."""
    alone = row("native", 1.0, shape="99x99")
    (found,) = answers(rankings(frame(alone, row("native", 1.0, shape="9x9"), row("torch", 2.0, shape="9x9"))))
    assert found.case.case["shape"] == "9x9"


def test_smallest_finds_the_case_of_overhead() -> None:
    """The small step is found beside the large one, and no forward pass."""
    shapes = [row("native", 1.0, shape=shape) for shape in ("32x10", "512x32000")]
    found = smallest(rankings(frame(*shapes, row("native", 1.0, shape="2x2", mode="forward"))))
    assert [one.case.case["shape"] for one in found] == ["32x10"]


def step_and_reuse(*others: tuple[str, float]) -> list[dict[str, object]]:
    """native and torch in a step (2 and 16 ms), and in `reuse` native (2 ms) with `others`."""
    reuse = [row(name, seconds, mode="reuse") for name, seconds in (("native", 2e-3), *others)]
    return [row("native", 2e-3), row("torch", 16e-3), *reuse]


def test_the_claim_is_against_the_best_alternative_under_the_same_allocator() -> None:
    """8 ms of torch and 3 ms of compiled over 2 ms; the second claim is the step against torch, 16 ms over 2 ms."""
    (found,) = answers(rankings(frame(*step_and_reuse(("torch", 8e-3), ("compiled", 3e-3)))))
    assert found.claim.other["implementation"] == "compiled"
    assert found.claim.ratio.value == pytest.approx(1.5)
    assert found.eager_claim.ratio.value == pytest.approx(8.0)
    assert found.against == "1.50× (1.50 to 1.50×) as fast as compiled"


def test_eager_is_vectorized_only_where_torch_has_no_such_loss() -> None:
    """With a disturbed torch there is no claim, rather than one against slower code."""
    without = [row("native", 1e-3), row("vectorized", 5e-3)]
    (found,) = answers(rankings(frame(*without)))
    assert found.eager_claim.other["implementation"] == "vectorized"
    (found,) = answers(rankings(frame(*without, disturbed("torch", 2e-3))))
    assert found.eager_claim is None
    assert found.against_eager == "disturbed: torch"


def test_a_disturbed_alternative_leaves_the_headline_undecided() -> None:
    """The disturbed one might be the best: neither a ratio to the others nor a winner is named."""
    (found,) = answers(rankings(frame(row("native", 1e-3), row("torch", 4e-3), disturbed("compiled", 2e-3))))
    assert found.claim is None
    assert found.undecided
    assert found.against == "disturbed: compiled"
    assert "of those that could be ranked" in sentence(found)


def test_sentence_of_a_winner() -> None:
    """Time, interval, ratios with bounds, share and error: 8 MB in 2 ms is a quarter of 16 GB/s.

    The interval: the logarithms of the rounds deviate by 0.00704, times 2.776 of Student's t with 4 degrees of freedom,
    times sqrt(2 / 5), is 0.01235.
    """
    (found,) = answers(rankings(frame(*step_and_reuse(("torch", 8e-3)))))
    assert sentence(found) == (
        "For a training step of 1000 × 1000 in float32 on CPU with memory reused, native is fastest, at 2.00 ms per "
        "call (95 % interval 1.98 to 2.02 ms), 4.00× (4.00 to 4.00×) as fast as torch, the best alternative. native "
        "reaches 25 % of the copy ceiling and has a relative error of at most 2.0e-07. As people run it (a training "
        "step of 1000 × 1000 in float32 on CPU), native is 8.00× (8.00 to 8.00×) as fast as torch."
    )


def test_sentence_of_a_tie_claims_no_winner() -> None:
    """Both are named, and neither is said to be faster."""
    (found,) = answers(rankings(frame(row("native", 1e-3, NOISY), row("torch", 1e-3, NOISY[::-1]))))
    assert "native and torch are statistically tied as the fastest" in sentence(found)
    assert "as fast as" not in sentence(found)


def test_sentence_when_torch_wins() -> None:
    """The sentence says by how much torch is faster: 3 ms over 1 ms."""
    (found,) = answers(rankings(frame(row("torch", 1e-3), row("native", 3e-3))))
    assert "torch is fastest" in sentence(found)
    assert "torch is 3.00× (3.00 to 3.00×) as fast as native" in sentence(found)


def test_sentence_without_a_ranked_row_says_why() -> None:
    """One row is wrong and one was disturbed."""
    (found,) = answers(rankings(frame(row("native", 1.0, status="wrong"), disturbed("torch", 1.0))))
    assert sentence(found).endswith("no implementation could be ranked (1 wrong, 1 disturbed).")


def test_rates_from_traffic_and_time() -> None:
    """8 MB in 1 ms: 8 GB/s, half of 16 GB/s; the bounds are those of the time."""
    one = frame(row("native", 1e-3)).iloc[0]
    assert (one["rate"], one["share"]) == (pytest.approx(8e9, rel=1e-3), pytest.approx(0.5, rel=1e-3))
    assert one["rate_low"] == pytest.approx(8e6 / one["high"])
    assert one["rate_high"] == pytest.approx(8e6 / one["low"])


def test_one_ceiling_per_session_level_and_kind() -> None:
    """10 and 40 GB/s of two cases of one level are pooled to their geometric mean, 20; each session has its own."""
    rounds = range(1, 6)
    slow, fast = (dict.fromkeys(rounds, rate) for rate in (10e9, 40e9))
    given = frame(
        row("native", 1.0, ceilings=slow),
        row("torch", 1.0, ceilings=slow),  # of the same rounds, so counted once
        row("native", 1.0, ceilings=fast, shape="2x2"),
        row("native", 1.0, ceilings=fast, session="t"),
        row("native", 1.0, ceilings=slow, ceiling_name="read", mode="forward"),
        disturbed("native", 1.0, ceilings=dict.fromkeys(rounds, 1e9), shape="3x3"),
        of_one_process("native", 1.0, ceiling=1e9),
    )
    found = roofline.pooled_ceilings(given).set_index(["session", "ceiling_name"])
    assert found["value"].to_dict() == {
        ("s", "copy"): pytest.approx(20e9),
        ("t", "copy"): pytest.approx(40e9),
        ("s", "read"): pytest.approx(10e9),
    }
    assert found["low"].notna().all()


@pytest.mark.parametrize("shape", ["", "x", "3x", "-1", "3.5", "3 x 4"])
def test_elements_refuses_what_is_not_a_shape(shape: str) -> None:
    """The message names the argument, the value and what is allowed."""
    with pytest.raises(ValueError, match=r"shape: .*expected sizes joined by x"):
        roofline.elements(shape)


def test_a_row_whose_shape_is_unreadable_affects_no_other() -> None:
    """The parameters of a user's own benchmark may be anything."""
    assert frame(row("a", 1.0, shape="large"), row("a", 1.0))["elements"].isna().tolist() == [True, False]


def test_implementations_have_distinct_looks() -> None:
    """Each implementation that we benchmark has its own colour and marker; an unknown one's is always the same."""
    looks = [look(name) for name in LOOKS]
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == len(LOOKS)
    assert look("somebody") == look("somebody")
    assert {marker for _, marker in (*looks, look("somebody"))} <= set(GLYPHS)
