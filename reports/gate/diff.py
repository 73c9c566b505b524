"""What differs between two revisions in code that runs: comments, documentation and layout are left out.

Python files are compared by their syntax trees without docstrings, function by function, so that rows which execute no
changed function run identical bytecode. C++ is compared without comments and white space.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lossimpl.building import Unmeasurable, run

MOST_HUNKS = 3  # in an explanation
CPP = (".cpp", ".h", ".cu", ".cuh")
# A string or character keeps what looks like a comment inside it; \R of a raw string's delimiter is not used here.
CPP_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Hunk:
    """One place of a diff: its file, the lines that head has there, and its text."""

    path: str
    first: int
    last: int
    text: str


@dataclass(frozen=True)
class Changed:
    """A file whose code differs.

    `functions` are the qualified names of its functions that differ, `more` whether anything outside of functions does;
    a file that is not Python has no functions. `spans` are the lines of each changed function on head.
    """

    path: str
    functions: frozenset[str] = frozenset()
    more: bool = True
    spans: dict[str, tuple[int, int]] = field(default_factory=dict, hash=False)
    hunks: tuple[Hunk, ...] = ()


@dataclass(frozen=True)
class Outline:
    """A Python file: each function as text, its lines, and everything else."""

    functions: dict[str, str]
    spans: dict[str, tuple[int, int]]
    rest: str


def changes(repository: Path, base: str, head: str, folders: Iterable[str]) -> list[Changed]:
    """The files below `folders` whose code differs; Unmeasurable names one of head's that Python cannot parse."""
    listed = ["git", "diff", "--name-only", "--no-renames", "-z", base, head, "--", *folders]
    names = run(listed, repository).stdout.split("\0")
    found = (changed(name, *(_content(repository, one, name) for one in (base, head))) for name in names if name)
    return [_with_hunks(repository, base, head, one) for one in found if one]


def changed(path: str, before: str, after: str) -> Changed | None:
    """How the code of a file differs, or None.

    >>> changed("a.py", "def f():\\n    return 1\\n", "def f():  # one\\n    '''One.'''\\n    return 1\\n") is None
    True
    >>> sorted(changed("a.py", "def f():\\n    return 1\\n", "def f():\\n    return 2\\n").functions)
    ['f']
    """
    if path.endswith(CPP):
        return Changed(path) if cpp_code(before) != cpp_code(after) else None
    if not path.endswith(".py"):
        return Changed(path) if before != after else None
    old, new = outline(before, ""), outline(after, path)
    names = {name for name in {**old.functions, **new.functions} if old.functions.get(name) != new.functions.get(name)}
    more = old.rest != new.rest
    spans = {name: span for name, span in new.spans.items() if name in names}
    return Changed(path, frozenset(names), more, spans) if names or more else None


def cpp_code(text: str) -> str:
    """C++ without comments, and with one blank for each run of white space.

    >>> cpp_code("int  a; // one\\nint b = '/'; /* two */")
    "int a; int b = '/';"
    """
    code = CPP_TOKEN.sub(lambda found: " " if found[0].startswith("/") else found[0], text)
    return " ".join(re.sub(r"(?m)^(\s*#.*)$", r"\1\\n", code).split())


def outline(text: str, path: str) -> Outline:
    """The functions of a file and of its classes, and the rest; a `path` that is not empty is named in an error."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        if path:
            raise Unmeasurable(f"{path}, line {error.lineno}: SyntaxError: {error.msg}") from error
        return Outline({}, {}, text)
    functions = dict(_taken_out(tree, ""))
    spans = {name: (min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno or node.lineno)
             for name, node in functions.items()}  # fmt: skip
    return Outline({name: _code(node) for name, node in functions.items()}, spans, _code(tree))


def _taken_out(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Function]]:
    """Remove the functions of a module or class from it, and return them by qualified name."""
    kept: list[ast.stmt] = []
    for child in node.body:
        if isinstance(child, Function):
            yield prefix + child.name, child
            continue
        if isinstance(child, ast.ClassDef):
            yield from _taken_out(child, f"{prefix}{child.name}.")
        kept.append(child)
    node.body = kept


def _code(tree: ast.AST) -> str:
    """A tree as text, without docstrings and positions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and node.body and _is_text(node.body[0]):
            node.body = node.body[1:]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _content(repository: Path, revision: str, path: str) -> str:
    """The text of a file in a revision, or nothing."""
    return run(["git", "show", f"{revision}:{path}"], repository).stdout


def _with_hunks(repository: Path, base: str, head: str, one: Changed) -> Changed:
    text = run(["git", "diff", "-U0", "--no-renames", base, head, "--", one.path], repository).stdout
    found = (_hunk(one.path, part) for part in re.split(r"(?m)^(?=@@ )", text)[1:])
    return Changed(one.path, one.functions, one.more, one.spans, tuple(found))


def _hunk(path: str, text: str) -> Hunk:
    place = re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", text)
    assert place is not None
    first, lines = int(place[1]), int(place[2] or 1)
    return Hunk(path, first, first + max(0, lines - 1), text.rstrip())


def likely(changed_files: Sequence[Changed], executed: Iterable[tuple[str, str]]) -> list[Hunk]:
    """The hunks inside functions that a row executes; if there are none, those of the files that have no functions."""
    names = set(executed)
    inside = [
        hunk
        for one in changed_files
        for name, (first, last) in one.spans.items()
        if (one.path, name) in names
        for hunk in one.hunks
        if hunk.first <= last and hunk.last >= first
    ]
    return list(dict.fromkeys(inside)) or [hunk for one in changed_files if not one.spans for hunk in one.hunks]
