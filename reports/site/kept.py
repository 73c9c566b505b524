"""Figures that were drawn before, by what they were drawn from: drawing takes longer than everything else on a page.

They lie in `.asv/figures`, in a folder for each version of the code that draws. Those of other versions are removed,
and those that no site has had for a month. New ones are drawn in other processes, while pages are made.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable
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
FIGURES = ROOT / ".asv" / "figures"
UNUSED_SECONDS = 30 * 86_400
Work = tuple[Callable[..., Figure], tuple[object, ...], str]  # the function, its data, and the prefix of all ids


def of(work: Work) -> Callable[[], str]:
    """The figure of some data as SVG, when it is asked for: from the last time if it was drawn before."""
    draw, data, ids = work
    key = pickle.dumps((draw.__module__, draw.__qualname__, ids, data))
    path = _folder() / f"{hashlib.sha256(key).hexdigest()[:32]}.svg"
    if path.exists():
        path.touch()
        return lambda: path.read_text(encoding="utf-8")
    return _Drawn(work, path)


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
    text = svg(draw(*data), ids)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return text


@cache
def _processes() -> ProcessPoolExecutor:
    """All cores but this process's; spawned, since the database and torch have threads, which a fork would break."""
    return ProcessPoolExecutor(max(1, (os.cpu_count() or 1) - 1), multiprocessing.get_context("spawn"))


@cache
def _folder() -> Path:
    """The folder of this version, the only one that is left."""
    code = [*sorted((Path(__file__).parent / "figures").glob("*.py")), ROOT / "lossimpl" / "wording.py"]
    version = hashlib.sha256(matplotlib.__version__.encode())
    for path in code:
        version.update(path.read_bytes())
    folder = FIGURES / version.hexdigest()[:16]
    for other in FIGURES.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.stat().st_mtime < datetime.now(UTC).timestamp() - UNUSED_SECONDS:
            path.unlink(missing_ok=True)
    return folder
