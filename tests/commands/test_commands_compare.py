"""`lossimpl list` and `lossimpl compare` answer what they are asked, and say what they cannot."""

import json

import pytest
from typer.testing import CliRunner

from lossimpl import cli, registry
from lossimpl.commands import compare as command
from lossimpl.row import Row

APP = cli.assemble()
SMALL = ["compare", "mse_loss", "--shape", "32x10", "--implementation", "torch", "--implementation", "vectorized"]


def run(*arguments):
    """The command's exit code and output."""
    result = CliRunner().invoke(APP, list(arguments))
    return result.exit_code, result.output


def test_list_shows_every_loss_with_reasons():
    """All eleven losses; what cannot run here has its reason."""
    code, output = run("list", "--json")
    found = json.loads(output)["losses"]
    assert code == 0
    assert len(found) == 11
    assert found["mse_loss"]["cpu"]["torch"] is None
    assert "torch" not in found["log_cosh_loss"]["cpu"]


def test_compare_as_json_keeps_every_sample():
    """Two rows, measured, right, with all samples."""
    code, output = run(*SMALL, "--json")
    rows = json.loads(output)
    assert code == 0
    assert [row["implementation"] for row in rows] == ["torch", "vectorized"]
    assert all(row["status"] == "ok" and len(row["samples"]) >= 7 for row in rows)


def test_compare_prints_a_ranking():
    """A table with both, and a sentence with the fastest."""
    code, output = run(*SMALL)
    assert code == 0
    assert " is fastest." in output or " are statistically tied as the fastest." in output
    assert "32x10 float32 on cpu, step" in output


def test_a_wrong_implementation_is_shown_and_not_ranked():
    """A function that returns zeros is wrong: exit 1, named, no place in the table."""
    registry.register("mse_loss", "zeros", lambda input, target, **options: (input * 0).sum(), ["cpu"])
    try:
        code, output = run("compare", "mse_loss", "--shape", "32x10", "--implementation", "zeros")
    finally:
        from lossimpl import get

        get("mse_loss").implementations.pop("zeros")
    assert code == 1
    assert "zeros: wrong" in output
    assert "No implementation could be measured." in output


def test_naive_is_not_asked_for_millions_of_samples():
    """The reason stands where its time would, and nothing was measured."""
    code, output = run("compare", "mse_loss", "--shape", "1000000", "--implementation", "naive")
    assert code == 1
    assert "1000000 samples exceed" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_loss"], "unknown loss 'no_such_loss'"),
        (["mse_loss", "--shape", "3xx"], "--shape '3xx'"),
        (["mse_loss", "--shape", "0x3"], "--shape '0x3'"),
        (["cross_entropy", "--shape", "5"], "needs 2 dimensions"),
        (["mse_loss", "--dtype", "int8"], "'int8' is not one of 'float64', 'float32', 'bfloat16', 'float16'"),
        (["mse_loss", "--mode", "backwards"], "'backwards' is not one of 'forward', 'step', 'reuse', 'backward'"),
        (["mse_loss", "--maker", "uniform"], "normal, heavy_tailed"),
        (["mse_loss", "--reduction", "avg"], "'avg' is not one of 'none', 'mean', 'sum'"),
        (["mse_loss", "--implementation", "fast"], "mse_loss has naive"),
    ],
)
def test_bad_options_are_named(arguments, message):
    """Exit 2, with the option, its value and what is allowed."""
    code, output = run("compare", *arguments)
    assert code == 2
    assert message in " ".join(output.replace("│", " ").split())


def row(name, *samples):
    """A correct row with these samples."""
    return Row(name, name, "1", "float32", "cpu", "step", {}, "normal", 0, samples=samples)


def test_overlapping_intervals_share_a_rank():
    """The second overlaps the first; the third overlaps neither."""
    timed = command.ranked([row("a", 1.0, 1.1, 1.2), row("c", 2.0, 2.1, 2.2), row("b", 1.15, 1.2, 1.3)])
    assert [(one.rank, one.row.implementation) for one in timed] == [(1, "a"), (1, "b"), (3, "c")]
    assert command.reading(timed) == "a and b are statistically tied as the fastest."
