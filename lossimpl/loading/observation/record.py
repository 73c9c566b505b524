"""What was seen of one loader, without a reference to it: its workers end when the program drops the loader."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, finalize

from lossimpl.loading.observation import numbers, report
from lossimpl.loading.observation.epochs import Epoch
from lossimpl.loading.observation.meter import Meter
from lossimpl.loading.observation.numbers import Observation
from lossimpl.loading.observation.pinning import Pinning
from lossimpl.loading.observation.settings_of import settings_of
from lossimpl.loading.observation.tracing import Log
from lossimpl.loading.settings import Settings


@dataclass(eq=False)
class Record:
    """The epochs of a loader so far, the steps of a replay in `ideal`, and what is needed to observe the next epoch."""

    settings: Settings | None
    dataset: str
    epochs: list[Epoch] = field(default_factory=list)
    running: dict[int, Epoch] = field(default_factory=dict)
    ideal: list[float] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)
    pinning: Pinning = field(default_factory=Pinning)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    log: Log | None = None
    folder: str = ""
    say: bool = False

    def observation(self) -> Observation:
        """All epochs as numbers, and those that go on so far."""
        epochs = [*self.epochs, *(one.so_far() for one in self.running.values() if one.asked)]
        return numbers.summarise(epochs, self.settings, self.meter, self.ideal, self.dataset)

    def new_log(self, epoch: Epoch) -> Log:
        """A log for workers that are about to start."""
        if not self.folder:
            self.folder = tempfile.mkdtemp(prefix="lossimpl-observe-")
            finalize(self, remove, self.folder, os.getpid())
        self.log = Log(self.folder, epoch.number, epoch.workers)
        return self.log

    def say_at_exit(self) -> None:
        """From now on, three lines go to stderr when the program ends."""
        if not self.say:
            self.say = True
            atexit.register(self.tell)

    def tell(self) -> None:
        """The three lines, from the first rank alone, unless they were asked for before."""
        if self.say and (self.epochs or self.running) and numbers.rank_and_world()[0] == 0:
            print("\n".join(report.lines(self.observation())), file=sys.stderr)


KNOWN: WeakKeyDictionary[Any, Record] = WeakKeyDictionary()


def record_of(loader: Any) -> Record:
    """The record of a loader: the same one each time, where the loader can be remembered."""
    try:
        return KNOWN.setdefault(loader, new_record(loader))
    except TypeError:  # such as a list
        return new_record(loader)


def new_record(loader: Any) -> Record:
    """A record of nothing yet."""
    kind = type(getattr(loader, "dataset", loader))
    return Record(settings_of(loader), f"{kind.__module__}.{kind.__qualname__}")


def remove(folder: str, pid: int) -> None:
    """Remove the workers' files, unless this is a process that was forked meanwhile."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def written(text: str, path: str | os.PathLike[str] | None) -> str:
    """The text, also in the file of this rank where a path is given."""
    if path is not None:
        rank, world = numbers.rank_and_world()
        file = Path(path)
        (file if world == 1 else file.with_name(f"{file.stem}-rank{rank}{file.suffix}")).write_text(text)
    return text
