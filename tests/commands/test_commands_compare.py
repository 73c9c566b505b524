"""`lossimpl list` and `lossimpl compare` answer what they are asked, and say what they cannot."""

import json
import re

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from lossimpl import cli, registry, stored

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
    """Two cases of two rows each, measured, with all rounds; and replay reads them. A repeated name counts once."""
    result = CliRunner().invoke(APP, [*SMALL, *SMALL[-2:], "--shape", "4x4", "--rounds", "1", "--json"])
    rows = json.loads(result.stdout)
    assert [(row["shape"], row["implementation"]) for row in rows] == [
        *(("32x10", "torch"), ("32x10", "vectorized")),
        *(("4x4", "torch"), ("4x4", "vectorized")),
    ]
    for row in rows:
        assert stored.row_of(row).rounds
        assert row["status"] in ("ok", "disturbed")


def test_compare_prints_a_ranking():
    """A table with both and a sentence with the fastest; on a busy machine, why there is none."""
    _, output = run(*SMALL)
    assert re.search(r"(is|as the) fastest\.|could be ranked\.", output)
    assert "32x10 float32 on cpu, step" in output
    assert "trying torch" in output


def test_options_of_the_loss_reach_every_implementation():
    """Label smoothing with random class weights: agreement is checked with them, and the title shows them."""
    arguments = ["--option", "label_smoothing=0.1", "--option", "weight=random", "--implementation", "torch"]
    result = CliRunner().invoke(
        APP, ["compare", "cross_entropy", "--shape", "8x5", *arguments, "--rounds", "1", "--json"]
    )
    (row,) = json.loads(result.stdout)
    assert row["options"] == {"label_smoothing": 0.1, "reduction": "mean", "weight": "random"}
    assert row["agreement"]["verdict"] == "ok"


@pytest.mark.parametrize("suffix", ["pt", "npz"])
def test_tensors_of_a_file(tmp_path, suffix):
    """Probability targets, by name, without executing code."""
    tensors = {"input": torch.randn(6, 5), "target": torch.rand(6, 5).softmax(1)}
    file = tmp_path / f"inputs.{suffix}"
    if suffix == "pt":
        torch.save(tensors, file)
    else:
        np.savez(file, **{name: one.numpy() for name, one in tensors.items()})
    arguments = ["cross_entropy", "--inputs", str(file), "--implementation", "torch", "--rounds", "1", "--json"]
    result = CliRunner().invoke(APP, ["compare", *arguments])
    (row,) = json.loads(result.stdout)
    assert (row["maker"], row["shape"], row["agreement"]["verdict"]) == ("given", "6x5", "ok")


def test_a_wrong_implementation_is_shown_and_not_ranked():
    """A function that returns zeros is wrong: exit 1, named, no place in the table."""
    registry.register("mse_loss", "zeros", lambda input, target, **options: (input * 0).sum(), ["cpu"])
    try:
        code, output = run("compare", "mse_loss", "--shape", "32x10", "--implementation", "zeros", "--rounds", "1")
    finally:
        from lossimpl import get

        get("mse_loss").implementations.pop("zeros")
    assert code == 1
    assert "zeros: wrong" in output
    assert "No implementation could be ranked." in output


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
        (["mse_loss", "--dtype", "int8"], "--dtype 'int8': it must be one of float64, float32, bfloat16, float16"),
        (["mse_loss", "--option", "beta=1"], "mse_loss takes weight=..."),
        (["huber_loss", "--option", "delta=x"], "delta=x: it must be a number"),
        (["huber_loss", "--option", "delta=-1"], "delta"),
        (["cross_entropy", "--option", "label_smoothing=2"], "label_smoothing must be between 0.0 and 1.0. Got: 2.0"),
        (["cross_entropy", "--option", "weight=3"], "it must be random (one positive weight per class"),
        (["triplet_margin_loss", "--option", "swap=maybe"], "swap=maybe: it must be true or false"),
        (["mse_loss", "--inputs", "none.pt"], "--inputs none.pt: FileNotFoundError"),
        (["mse_loss", "--inputs", "none.pkl"], "it must be a .pt, .pth or .npz file, or module:function"),
        (["mse_loss", "--inputs", "json:dumps"], "--inputs json:dumps: TypeError"),
        (["mse_loss", "--inputs", "x.pt", "--shape", "3"], "with --inputs they follow from the tensors"),
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
