"""Instructions per call under Callgrind."""

import ctypes
import gc
import json
from typing import Any

from . import suite
from .timing import collect_no_more


class Counter:
    """Callgrind's switches, the number of warm-up calls, and the number of calls in each dump."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.marks = ctypes.CDLL(job["marks"])
        self.warmup: int = job["warmup"]
        self.repeats: list[int] = job["repeats"]

    def count(self, benchmark: str, params: list[Any]) -> None:
        """Dump a row at two repeat counts, whose difference is free of fixed costs."""
        call = suite.ready(benchmark, params)
        for _ in range(self.warmup):
            call()
        collect_no_more()
        for repeats in self.repeats:
            self.marks.begin()
            for _ in range(repeats):
                call()
            self.marks.end(json.dumps([benchmark, params, repeats]).encode())
        gc.enable()
