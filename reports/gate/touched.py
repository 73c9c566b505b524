"""Which rows a diff can reach: a changed file, the modules that import it, the losses and implementations they make.

A row runs its loss's room, what the room imports, and what the benchmarks import to make the call. It also runs the
annex of its implementation: a kernel file for `native` on its device (of one loss, if it is named after it), and
`compiled.py` for `compiled`. A change outside the package and the benchmarks reaches nothing, but for the build files.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from reports.gate.rows import Row

BUILD_FILES = ("pyproject.toml", "constraints.txt", "setup.py", "setup.cfg")
KERNEL_DEVICES = {"cpp": "cpu", "triton": "cuda"}


def touched(rows: Iterable[Row], changed: Iterable[str], source: Path, package: str) -> list[Row]:
    """The rows that a change of the files `changed` can reach, in the order of `rows`."""
    files = [PurePosixPath(one) for one in changed]
    if any(str(one) in BUILD_FILES for one in files):
        return list(rows)
    graph = Graph(source, package)
    rows = list(rows)
    return [row for row in rows if any(_reaches(graph, file, row, rows) for file in files)]


def _reaches(graph: Graph, file: PurePosixPath, row: Row, rows: list[Row]) -> bool:
    top, *rest = file.parts
    if top == graph.package and rest[:1] == ["kernels"]:
        return _kernel_reaches(file, row, {one.stem for one in rows})
    if top == graph.package and rest == ["compiled.py"]:
        return row.implementation == "compiled"
    return module_of(file) in graph.needs(row.stem)


def _kernel_reaches(file: PurePosixPath, row: Row, stems: set[str]) -> bool:
    devices = [device for part, device in KERNEL_DEVICES.items() if part in file.parts]
    own = file.stem not in stems or file.stem == row.stem
    return own and row.implementation == "native" and (not devices or row.device in devices)


def module_of(file: PurePosixPath) -> str:
    """The dotted name of a file; a data file counts as a part of its package.

    >>> module_of(PurePosixPath("lossimpl/measure/clock.py")), module_of(PurePosixPath("lossimpl/py.typed"))
    ('lossimpl.measure.clock', 'lossimpl')
    """
    parts = file.with_suffix("").parts if file.suffix == ".py" and file.stem != "__init__" else file.parts[:-1]
    return ".".join(parts)


class Graph:
    """Who imports whom among the package and the benchmarks, imports inside functions included."""

    def __init__(self, source: Path, package: str) -> None:
        self.package = package
        self.modules = {module_of(PurePosixPath(file.relative_to(source))): file for file in _files(source, package)}
        self.imports = {name: set(self._imported(name, file)) for name, file in self.modules.items()}
        self._needs: dict[str, set[str]] = {}

    def needs(self, stem: str) -> set[str]:
        """The modules that a benchmark file's rows run, whatever their implementation."""
        if stem not in self._needs:
            own = {f"benchmarks.{stem}", "benchmarks.calls", f"{self.package}.losses.{stem}"}
            self._needs[stem] = self._closure(own & set(self.modules)) | {"benchmarks"}
        return self._needs[stem]

    def _closure(self, start: set[str]) -> set[str]:
        """Everything that `start` imports, without walking into another loss's room or an annex."""
        found, waiting = set(start), list(start)
        while waiting:
            for name in self.imports[waiting.pop()] - found:
                if not self._is_wall(name):
                    found.add(name)
                    waiting.append(name)
        return found

    def _is_wall(self, name: str) -> bool:
        parts = name.split(".")
        room = parts[1:2] == ["losses"] and len(parts) == 3 and not parts[2].startswith("_")
        return room or parts[1:2] in (["kernels"], ["compiled"])

    def _imported(self, name: str, file: Path) -> Iterator[str]:
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
        here = name.split(".") if file.stem == "__init__" else name.split(".")[:-1]
        for node in ast.walk(tree):
            for dotted in _targets(node, here):
                yield from self._known(dotted)

    def _known(self, dotted: str) -> Iterator[str]:
        """The module of a dotted name, which may go on with an attribute, and the packages around it."""
        parts = dotted.split(".")
        names = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
        return (one for one in names if one in self.modules)


def _targets(node: ast.AST, here: list[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    if isinstance(node, ast.ImportFrom):
        start = here[: len(here) - node.level + 1] if node.level else []
        base = ".".join([*start, *([node.module] if node.module else [])])
        return [f"{base}.{one.name}" for one in node.names]
    return []


def _files(source: Path, package: str) -> Iterator[Path]:
    for top in (package, "benchmarks"):
        yield from sorted((source / top).rglob("*.py"))
