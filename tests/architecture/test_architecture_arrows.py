"""The arrows of the design hold: what may import what, and who may read a clock. lint-imports keeps the static part."""

import ast
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
CLOCKS = {"perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "time", "time_ns", "process_time"}


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_importing_the_package_and_its_words_needs_no_torch():
    """`import lossimpl`, its vocabulary and its command line stay light."""
    code = "import sys, lossimpl, lossimpl.spec, lossimpl.cli; lossimpl.cli.assemble(); print('torch' in sys.modules)"
    assert python(code) == "False"


def test_using_a_loss_does_not_import_a_kernel():
    """A kernel annex is imported only when asked for."""
    code = (
        "import sys, torch, lossimpl; x = torch.ones(2); lossimpl.mse_loss(x, x, implementation='torch');"
        "print([m for m in sys.modules if m.startswith('lossimpl.kernels')])"
    )
    assert python(code) == "[]"


def clock_reads(path: pathlib.Path) -> list[str]:
    """Calls of the time module's clocks in a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS and isinstance(node.value, ast.Name):
            if node.value.id == "time":
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [f"{path.relative_to(ROOT)}:{node.lineno}" for name in node.names if name.name in CLOCKS]
    return found


# These run inside either revision of a comparison, whose own lossimpl.measure may differ: both need the same clock.
INSIDE_A_REVISION = {*ROOT.glob("reports/gate/worker/*.py"), ROOT / "reports/gate/plants.py"}


def test_only_the_measuring_package_reads_a_clock():
    """One place knows what a clock is; the others use lossimpl.measure.wall."""
    files = {*ROOT.glob("lossimpl/**/*.py"), *ROOT.glob("reports/**/*.py"), *ROOT.glob("benchmarks/**/*.py")}
    files -= INSIDE_A_REVISION
    measuring = ROOT / "lossimpl" / "measure"
    outside = [read for path in files if measuring not in path.parents for read in clock_reads(path)]
    assert outside == []


def test_only_the_record_opens_results():
    """The formats of stored results are known to reports/record alone, which others use by its reader and queries."""
    outside = {
        path: path.read_text() for path in ROOT.glob("reports/**/*.py") if path.parent != ROOT / "reports" / "record"
    }
    private = ("result_columns", "reports.record.formats", "reports.record.units", "read_parquet")
    assert {path.name: word for path, text in outside.items() for word in private if word in text} == {}


def test_every_public_name_has_a_docstring():
    """A newcomer finds a sentence at every public function, class and module of the package."""
    bare = []
    for path in ROOT.glob("lossimpl/**/*.py"):
        tree = ast.parse(path.read_text())
        nodes = [tree, *(n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef))]
        bare += [
            f"{path.relative_to(ROOT)}:{getattr(node, 'name', '')}"
            for node in nodes
            if path.read_text().strip()
            and not getattr(node, "name", "").startswith("_")
            and not ast.get_docstring(node)
        ]
    assert bare == []
