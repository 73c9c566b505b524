"""Rounds measured with the code of another commit, built as the gate builds a side of a comparison."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lossimpl import building, overlay
from lossimpl.building import Unmeasurable
from lossimpl.forks import Server

NATIVE = "from lossimpl import registry; registry.get('mse_loss').implementations['native'].load('cpu')"


@contextmanager
def server_at(repository: Path, revision: str) -> Iterator[Server]:
    """A server that measures rounds with the package of a commit, which is built in a folder of its own.

    Unmeasurable says why there is none: the commit is unknown, it does not build, or its rows had no rounds yet.
    """
    commit = building.commit_of(repository, revision)
    with tempfile.TemporaryDirectory(prefix="replay-", ignore_cleanup_errors=True) as folder:
        python = _built(repository, commit, Path(folder))
        variables = building.clean_environment({"ASV_COMMIT": commit})
        with suppress(Unmeasurable):  # the rows of native say why
            building.checked([python, "-P", "-c", NATIVE], "build the native kernels", variables)
        with Server(python, variables) as server:
            try:
                server.known()
            except OSError as error:
                raise Unmeasurable(f"commit {commit[:8]} cannot be imported: {error}") from error
            yield server


def _built(repository: Path, commit: str, place: Path) -> Path:
    building.export(repository, commit, place / "source")
    if not (place / "source" / "lossimpl" / "rounds.py").exists():
        raise Unmeasurable(
            f"commit {commit[:8]} measures no rounds (it has no lossimpl/rounds.py), only single processes"
        )
    return building.install(f"commit {commit[:8]}", place, overlay.running())
