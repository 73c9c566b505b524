"""What was made before for a page, by what it was made from: figures, and the rows of tables.

It lies in `.asv/figures` and `.asv/texts`, in a folder for each version of the code that makes it. Those of other
versions are removed, and what no site has had for a month. New figures are drawn in other processes, while pages are
made: drawing takes longer than everything else on a page.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from reports.site.figures.style import svg

ROOT = Path(__file__).parents[2]
FIGURES, TEXTS = ROOT / ".asv" / "figures", ROOT / ".asv" / "texts"
WORDING = ROOT / "lossimpl" / "wording.py"
UNUSED_SECONDS = 30 * 86_400
Work = tuple[Callable[..., Figure], tuple[object, ...], str]  # the function, its data, and the prefix of all ids


def of(work: Work) -> Callable[[], str]:
    """The figure of some data as SVG, when it is asked for: from the last time if it was drawn before."""
    draw, data, ids = work
    path = _figures() / f"{_digest((draw.__module__, draw.__qualname__, ids, data))}.svg"
    if path.exists():
        path.touch()
        return lambda: path.read_text(encoding="utf-8")
    return _Drawn(work, path)


def text(key: object, make: Callable[[], str]) -> str:
    """What `make` gives: from the last time if it was made of an equal `key`, which holds all that it depends on."""
    path = _texts() / _digest(key)
    if path.exists():
        path.touch()
        return path.read_text(encoding="utf-8")
    made = make()
    _write(path, made)
    return made


def _digest(key: object) -> str:
    return hashlib.sha256(pickle.dumps(key)).hexdigest()[:32]


def _write(path: Path, made: str) -> None:
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(made, encoding="utf-8")
    fresh.replace(path)


class _Drawn:
    """A figure that another process draws, or this one if the other has not begun when it is asked for."""

    def __init__(self, work: Work, path: Path) -> None:
        self.work, self.path = work, path
        self.future: Future[str] = Future()
        with suppress(BrokenProcessPool):  # the other process was killed, or could not import the program
            self.future = _processes().submit(_drawn, work, path)

    def __call__(self) -> str:
        with suppress(BrokenProcessPool):
            if not self.future.cancel():
                return self.future.result()
        return _drawn(self.work, self.path)


def _drawn(work: Work, path: Path) -> str:
    draw, data, ids = work
    drawn = svg(draw(*data), ids)
    _write(path, drawn)
    return drawn


@cache
def _processes() -> ProcessPoolExecutor:
    """All cores but this process's; spawned, since the database and torch have threads, which a fork would break."""
    return ProcessPoolExecutor(max(1, (os.cpu_count() or 1) - 1), multiprocessing.get_context("spawn"))


@cache
def _figures() -> Path:
    return _folder(FIGURES, [*(Path(__file__).parent / "figures").glob("*.py"), WORDING], matplotlib.__version__)


@cache
def _texts() -> Path:
    return _folder(TEXTS, [*ROOT.glob("reports/**/*.py"), WORDING])


def _folder(parent: Path, code: Iterable[Path], library: str = "") -> Path:
    """The folder of the version of this code, the only one that is left."""
    version = hashlib.sha256(library.encode())
    for path in sorted(code):
        version.update(path.read_bytes())
    folder = parent / version.hexdigest()[:16]
    for other in parent.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.stat().st_mtime < datetime.now(UTC).timestamp() - UNUSED_SECONDS:
            path.unlink(missing_ok=True)
    return folder
