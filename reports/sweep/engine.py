"""asv as engine and store: the environment of a commit, a fork server for its benchmarks, and the file of its results.

asv measures one row per process, and a round needs all implementations of a case in one. So the sweep does not run
`asv run` but uses the parts of it: what it builds, discovers and forks is asv's, and so is the format of what it saves.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from asv import environment, results, runner, util
from asv.benchmarks import Benchmarks
from asv.commands.setup import Setup
from asv.config import Config
from asv.console import log
from asv.machine import Machine, MachineCollection
from asv.plugin_manager import plugin_manager
from asv.repo import get_repo

from reports.record.rows import Row

Samples = tuple[Sequence[float], int]  # seconds per call, and calls per sample
UNMEASURED = (None, None, None)  # result, samples and calls of a row that has no samples


class AsvFailed(RuntimeError):
    """asv could not build the commit or import its benchmarks; the message is the end of its output."""


class Engine:
    """The benchmarks of one commit, ready to be run in processes of their own.

    `variables` are environment variables of those processes. Used as a context; entering it builds and imports.
    """

    def __init__(self, root: Path, machine: str, commit: str, variables: Mapping[str, str]) -> None:
        self.root, self.machine, self.commit, self.variables = root, machine, commit, variables

    def __enter__(self) -> Engine:
        try:
            with contextlib.chdir(self.root), self._logged("w"), _environ(self.variables):
                self._open()
        except (util.UserError, util.ProcessError, RuntimeError) as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # asv's discovery makes an error of its own from it
                raise error.__context__ from None
            raise AsvFailed("\n".join([*self.log_path.read_text().splitlines()[-30:], str(error)])) from error
        return self

    @property
    def log_path(self) -> Path:
        """The file of what asv prints."""
        return self.root / ".asv" / "sweep.log"

    @contextlib.contextmanager
    def _logged(self, mode: str = "a") -> Iterator[None]:
        self.log_path.parent.mkdir(exist_ok=True)
        with self.log_path.open(mode) as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            log.enable(verbose=False)
            yield

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._logged():
            self.spawner.close()

    def _open(self) -> None:
        self.conf = Config.load("asv.conf.json")
        for plugin in self.conf.plugins:
            plugin_manager.import_plugin(plugin)
        self.repo = get_repo(self.conf)
        self.commit = self.repo.get_hash_from_name(self.commit)
        (self.env,) = environment.get_environments(self.conf, None)
        Setup.perform_setup([self.env], parallel=1)
        self.env.install_project(self.conf, self.repo, self.commit)
        self.benchmarks = Benchmarks.discover(self.conf, self.repo, [self.env], [self.commit])
        self.benchmarks.save()
        self.spawner = _Server(self.env, self.conf.benchmark_dir)

    def run(self, row: Row, seconds: float) -> str:
        """Run the benchmark of a row in a process of its own, for at most `seconds`; return what went wrong, or ''."""
        with tempfile.TemporaryDirectory() as folder:
            output, code = self.spawner.run(
                name=f"{row.benchmark}-{self._index(row)}",
                params_str=json.dumps({}),
                profile_path="None",
                result_file_name=os.path.join(folder, "result"),
                timeout=seconds,
                cwd=folder,
            )
        if code == util.TIMEOUT_RETCODE:
            return f"no answer within {seconds:.0f} s"
        lines = output.strip().splitlines()
        return "" if code == 0 else lines[-1] if lines else f"the process ended with exit code {code}"

    def save(self, samples: Mapping[Row, Samples | None]) -> None:
        """Save samples (seconds per call) with their calls per sample in asv's file; None for a row that failed."""
        with contextlib.chdir(self.root), self._logged():
            params = dict(Machine.load(machine_name=self.machine).__dict__)
            stored = results.Results(
                params | {"python": self.env.python} | self.env.requirements,
                self.env.requirements,
                self.commit,
                self.repo.get_date(self.commit),
                self.env.python,
                self.env.name,
                self.env.env_vars,
            )
            stored.load_data(self.conf.results_dir)
            for name, rows in itertools.groupby(
                sorted(samples, key=lambda row: row.benchmark), lambda row: row.benchmark
            ):
                self._add(stored, self.benchmarks[name], {self._index(row): samples[row] for row in rows})
            stored.save(self.conf.results_dir)

    def _add(
        self, stored: Any, benchmark: dict[str, Any], found: Mapping[int, tuple[Sequence[float], int] | None]
    ) -> None:
        count = len(list(itertools.product(*benchmark["params"])))
        cells = [(True, list(one[0]), one[1]) if (one := found.get(index)) else UNMEASURED for index in range(count)]
        values, sampled, calls = map(list, zip(*cells, strict=True))
        outcome = runner.BenchmarkResult(
            result=values, samples=sampled, number=calls, errcode=0, stderr="", profile=None
        )
        stored.add_result(
            benchmark, outcome, started_at=datetime.now(UTC), record_samples=True, selected_idx=set(found)
        )

    def _index(self, row: Row) -> int:
        """The place of the row among all combinations of its benchmark's parameters, the last varying fastest."""
        index = 0
        for text, axis in zip(row.texts, self.benchmarks[row.benchmark]["params"], strict=True):
            index = index * len(axis) + axis.index(text)
        return index


class _Server(runner.ForkServer):  # type: ignore[misc]  # asv ships no types
    """asv's fork server with the benchmarks imported; where that fails or is interrupted, no process is left."""

    def __init__(self, env: Any, root: str) -> None:
        try:
            super().__init__(env, root)
            succeeded, output = self.preimport()
            if not succeeded:
                raise RuntimeError(output)
        except BaseException:
            if hasattr(self, "stdout_reader_thread"):
                with contextlib.suppress(OSError):  # its folder is gone where it did not start at all
                    self.close()
            raise


def register(machine: str) -> None:
    """Register this machine with asv under its name. Its system is a fact of each session, not of the machine."""
    facts = Machine.get_defaults() | {"machine": machine, "os": "Linux" if os.name == "posix" else os.name}
    MachineCollection.save(machine, facts)


def environment_name() -> str:
    """The name of asv's environment of this interpreter."""
    plugin = importlib.import_module("asv_plugins.shared_environment")  # untyped, since asv ships no types
    return str(plugin.environment_name())


@contextlib.contextmanager
def _environ(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
