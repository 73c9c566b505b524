"""What a row is called: a benchmark and the values of its parameters, in asv's files, side-cars and the suite alike."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# The order of the parameters in benchmarks/, where they stand literally; a test compares them.
LOSS_PARAMETERS = ("implementation", "shape", "dtype", "device", "mode")
LOADING_PARAMETERS = ("dataset", "num_workers", "pin_memory", "batch_size")
LOADING = "loading.Loading.track_seconds_per_sample"


def name_of(benchmark: str, texts: Iterable[str]) -> str:
    """asv's name of a row, from its parameters as asv writes them."""
    return f"{benchmark}({', '.join(texts)})"


@dataclass(frozen=True, order=True)
class Row:
    """One benchmark with one combination of parameters; `str(row)` is asv's name of it.

    >>> row = Row("mse_loss.MseLoss.track_seconds", ("native", "32x10"))
    >>> str(row)
    "mse_loss.MseLoss.track_seconds('native', '32x10')"
    >>> Row.of({"benchmark": row.benchmark, "params": row.texts}) == row
    True
    """

    benchmark: str
    params: tuple[Any, ...]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Row:
        """The row of a record whose parameters are as asv writes them; ValueError or SyntaxError if they are not."""
        return cls(record["benchmark"], tuple(map(ast.literal_eval, record["params"])))

    def __str__(self) -> str:
        return name_of(self.benchmark, self.texts)

    @property
    def texts(self) -> list[str]:
        """The parameters as asv writes them."""
        return list(map(repr, self.params))

    @property
    def stem(self) -> str:
        """The benchmark's file: the name of a loss, or `loading`."""
        return self.benchmark.partition(".")[0]

    @property
    def implementation(self) -> str:
        """The first parameter, which names what is measured."""
        return str(self.params[0]) if self.params else ""

    @property
    def device(self) -> str:
        """`cuda` if one of the parameters says so, else `cpu`."""
        return "cuda" if "cuda" in self.params else "cpu"

    @property
    def measures_itself(self) -> bool:
        """Whether the row is more than a call: a loader's row starts its own processes and reports their seconds."""
        return not self.benchmark.endswith(".track_seconds")

    @property
    def words(self) -> str:
        """The row as people read it while it runs: `mse_loss native 32x10 float32 cpu step`."""
        return " ".join(map(str, (self.stem, *self.params)))

    @property
    def record(self) -> dict[str, Any]:
        """The fields of a side-car's line that identify the row."""
        identity = {"benchmark": self.benchmark, "params": self.texts}
        if self.benchmark == LOADING:
            return identity | {"dataset": self.params[0]}
        return identity | {"loss": self.stem, **dict(zip(LOSS_PARAMETERS, self.params, strict=True))}

    def failure(self, reason: str) -> dict[str, Any]:
        """The record of a row whose process died before it could write one."""
        return self.record | {"status": "error", "reason": reason}
