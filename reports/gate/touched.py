"""Which rows a diff can affect: those whose benchmark or loss imports a changed file, and execute what changed in it.

A row runs the module of its loss, what that imports, and what the benchmarks import to make the call. It also runs what
only its implementation needs: kernel files for `native` on its device (of one loss, if the file is named after it), and
`compiled.py` for `compiled`. A change outside the package and the benchmarks affects no row, except for build files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

import grimp

from lossimpl.building import Unmeasurable, first_lines, run
from reports.gate.diff import Changed
from reports.record.rows import Row

BUILD_FILES = ("pyproject.toml", "constraints.txt", "setup.py", "setup.cfg")
KERNEL_DEVICES = {"cpp": "cpu", "triton": "cuda"}
# grimp finds packages by import, so it runs in a process of its own whose path begins with the revision's files.
SCAN = """
import grimp, json, sys
graph = grimp.build_graph(*sys.argv[1:], cache_dir=None)
print(json.dumps({name: sorted(graph.find_modules_directly_imported_by(name)) for name in graph.modules}))
"""


def touched(rows: Iterable[Row], changed: Iterable[Changed], source: Path, package: str) -> dict[Row, list[Changed]]:
    """The changed files that can affect a row, for every row that any can affect, in the order of `rows`."""
    files, rows = list(changed), list(rows)
    graph = import_graph(source, package) if files else grimp.ImportGraph()
    stems = {row.stem for row in rows}
    needs = {stem: needed(graph, package, stem) for stem in stems}
    found = {
        row: [one for one in files if _affects(PurePosixPath(one.path), row, package, needs[row.stem], stems)]
        for row in rows
    }
    return {row: affecting for row, affecting in found.items() if affecting}


def executes(affecting: Iterable[Changed], executed: Collection[tuple[str, str]]) -> bool:
    """Whether a call that executes these functions, by file and name, runs anything that changed.

    What differs outside of functions counts, since a constant is read wherever it is imported.

    >>> executes([Changed("a.py", frozenset({"f"}), more=False)], {("a.py", "g")})
    False
    """
    return any(one.more or any((one.path, name) in executed for name in one.functions) for one in affecting)


def _affects(file: PurePosixPath, row: Row, package: str, needs: set[str], stems: set[str]) -> bool:
    top, *rest = file.parts
    if str(file) in BUILD_FILES:
        return True
    if top == package and rest[:1] == ["kernels"]:
        return _kernel_affects(file, row, stems)
    if top == package and rest == ["compiled.py"]:
        return row.implementation == "compiled"
    return module_of(file) in needs


def _kernel_affects(file: PurePosixPath, row: Row, stems: set[str]) -> bool:
    devices = [device for part, device in KERNEL_DEVICES.items() if part in file.parts]
    own = file.stem not in stems or file.stem == row.stem
    return own and row.implementation == "native" and (not devices or row.device in devices)


def module_of(file: PurePosixPath) -> str:
    """The dotted name of a file; a data file counts as part of its package.

    >>> module_of(PurePosixPath("lossimpl/measure/clock.py")), module_of(PurePosixPath("lossimpl/py.typed"))
    ('lossimpl.measure.clock', 'lossimpl')
    """
    parts = file.with_suffix("").parts if file.suffix == ".py" and file.stem != "__init__" else file.parts[:-1]
    return ".".join(parts)


def import_graph(source: Path, package: str) -> grimp.ImportGraph:
    """The imports of the package and the benchmarks in `source`, those inside functions included.

    Each module imports the packages around it; nothing imports another loss's module, the kernels or `compiled.py`.
    """
    done = run([sys.executable, "-c", SCAN, package, "benchmarks"], source)
    if done.returncode:
        raise Unmeasurable(f"the imports of {package} could not be read: {first_lines(done.stderr)}")
    graph = grimp.ImportGraph()
    for name, imported in json.loads(done.stdout).items():
        graph.add_module(name)
        around = [name.rpartition(".")[0]] if "." in name else []
        for other in (*imported, *around):
            if not _is_optional(other):
                graph.add_import(importer=name, imported=other)
    return graph


def _is_optional(module: str) -> bool:
    """Whether only some rows run the module: those of its loss, or of its implementation."""
    _, *rest = module.split(".")
    loss = len(rest) == 2 and rest[0] == "losses" and not rest[1].startswith("_")
    return loss or rest[:1] in (["kernels"], ["compiled"])


def needed(graph: grimp.ImportGraph, package: str, stem: str) -> set[str]:
    """The modules that all rows of a benchmark file run, whatever their implementation."""
    start = {f"benchmarks.{stem}", "benchmarks.calls", f"{package}.losses.{stem}"} & graph.modules
    start |= {
        name for name in graph.modules if name.startswith(f"{package}.{stem}.datasets.")
    }  # imported by their names
    return start.union(*map(graph.find_upstream_modules, start))
