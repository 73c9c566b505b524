"""The parameter lists that asv knows results by: complete, literal, append-only."""

import ast
import importlib
import json
from pathlib import Path

import pytest

from lossimpl import LOSSES
from lossimpl.spec import DEVICES, DTYPES, MODES
from reports.record.lines import objects
from reports.record.rows import LOADING, LOADING_PARAMETERS, LOSS_PARAMETERS, name_of
from reports.sweep.questions import benchmark_of, grid

FOLDER = Path(__file__).parents[2] / "benchmarks"
PUBLISHED = json.loads((Path(__file__).parent / "published_parameters.json").read_text())
OURS = {"naive", "vectorized", "compiled", "torch", "native"}


def class_of(benchmark):
    stem, name, _ = benchmark.split(".")
    return getattr(importlib.import_module(f"benchmarks.{stem}"), name)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_implementation_of_a_loss_is_asked_for(loss):
    """A loss or an implementation that is added to lossimpl must be added here; a plug-in's name is allowed."""
    asked = class_of(benchmark_of(loss)).params[0]
    ours = [name for name in LOSSES[loss].implementations if name in OURS]
    assert set(ours) <= set(asked)
    assert set(asked) & OURS <= set(ours)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_grid_covers_what_people_train_with(loss):
    """All dtypes and devices, all modes but backward, the tiny shape and a large one of 8 Mi elements or more."""
    _, shapes, dtypes, devices, modes = class_of(benchmark_of(loss)).params
    sizes = [eval(shape.replace("x", "*")) for shape in shapes]
    assert (set(dtypes), set(devices), set(modes)) == (set(DTYPES), set(DEVICES), set(MODES) - {"backward"})
    assert shapes[0] == "32x10"
    assert max(sizes) >= 8 << 20


@pytest.mark.parametrize("name", [*map(benchmark_of, LOSSES), LOADING])
def test_the_reports_know_the_parameters_by_the_same_names(name):
    """`benchmarks/` has the names literally, since it also runs against old commits."""
    assert class_of(name).param_names == (LOADING_PARAMETERS if name == LOADING else LOSS_PARAMETERS)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_parameters_are_literal(path):
    """`params` can be evaluated without running anything, so that it is the same in every environment."""
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    for node in (statement for one in classes for statement in one.body):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("params", "version", "timeout"):
            assert ast.literal_eval(node.value) is not None


@pytest.mark.parametrize("name", [*map(benchmark_of, LOSSES), LOADING])
def test_published_parameters_only_grow_at_the_end(name):
    """asv finds old results by these values in this order; the file holds what was published."""
    now, then = class_of(name), PUBLISHED[name]
    assert [list(values[: len(old)]) for values, old in zip(now.params, then["params"], strict=True)] == then["params"]
    assert now.version >= then["version"]


def test_the_rows_of_the_committed_results_are_still_in_the_suite():
    """asv continues the history of a row only under the same name."""
    suite = {str(row) for name in (*map(benchmark_of, LOSSES), LOADING) for row in grid(name)}
    records = [one for path in FOLDER.parent.glob("results/*/*.rows.jsonl") for one in objects(path)]
    assert {name_of(one["benchmark"], one["params"]) for one in records} <= suite


def test_no_benchmark_has_a_setup_hook():
    """A setup hook makes asv's runner take one call a sample; preparation belongs to the row."""
    for benchmark in [*map(benchmark_of, LOSSES), LOADING]:
        assert not hasattr(class_of(benchmark), "setup")
