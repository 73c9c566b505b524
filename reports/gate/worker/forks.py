"""Rows in forks of one warm process, timed batch by batch on request.

The parent imports what the rows need and starts no thread, so that a fork is ready in milliseconds. A fork prepares one
row and then times a batch whenever it is asked: the gate alternates between the forks of both sides every few
milliseconds, so that whatever else the machine does disturbs both alike.
"""

import gc
import json
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn

from . import suite
from .timing import batch, collect_no_more, device_seconds, fastest_of, waiting

Say = Callable[..., None]


def serve(rows: list[Any], requests: BinaryIO, say: Say) -> None:
    """Answer requests until there are no more: `{"row": ...}` forks a process for a row, until `{"number": 0}`."""
    suite.warm(rows)
    gc.collect()
    gc.freeze()  # a collection in a fork need not touch the pages of imported objects
    say(ready=True)
    for line in requests:
        benchmark, params = json.loads(line)["row"]
        say(start=[benchmark, params])
        child = os.fork()
        if not child:
            _one_row(benchmark, params, requests, say)
        say(ended=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _one_row(benchmark: str, params: list[Any], requests: BinaryIO, say: Say) -> NoReturn:
    """Prepare a row, then time as many calls as each request asks for; end at 0."""
    code = 1
    try:
        call, wait = suite.ready(benchmark, params), waiting("cuda" in params)
        say(seconds=fastest_of(call, wait))
        collect_no_more()
        while number := json.loads(requests.readline())["number"]:
            say(seconds=batch(call, number, wait) / number, **device_seconds(call, number, "cuda" in params))
        code = 0
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}".splitlines()[0])
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)
