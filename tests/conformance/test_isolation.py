"""A call in a child process: what raises, hangs or dies is an outcome, and the next call is served."""

from __future__ import annotations

import os
import signal
import time

from lossimpl.conformance.isolation import Worker


def fine(number: int) -> int:
    """Twice the number."""
    return 2 * number


def raises(number: int) -> int:
    """Raises what a kernel might."""
    raise RuntimeError(f"cannot do {number}")


def hangs(number: int) -> int:
    """Never comes back."""
    time.sleep(3600)
    return number


def dies(number: int) -> int:
    """Ends its process as a segmentation fault does."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return number


def exits(number: int) -> int:
    """Ends its process politely."""
    raise SystemExit(number)


def test_every_way_to_fail_is_an_outcome_and_the_worker_goes_on() -> None:
    """Raising, hanging and dying each give their reason, and a good call after each is served."""
    with Worker() as worker:
        assert worker.run(fine, 3, seconds=60).value == 6
        outcome = worker.run(raises, 3, seconds=60)
        assert (outcome.status, outcome.reason) == ("raised", "RuntimeError: cannot do 3")
        assert worker.run(hangs, 3, seconds=1).status == "hung"
        outcome = worker.run(dies, 3, seconds=60)
        assert (outcome.status, outcome.reason) == ("crashed", "the process was killed by SIGSEGV")
        assert worker.run(exits, 3, seconds=60).reason == "the process ended with exit code 3"
        assert worker.run(fine, 4, seconds=60).value == 8


def test_a_renewed_worker_is_another_process() -> None:
    with Worker() as worker:
        worker.renew()  # no process yet
        first = worker.run(os.getpid, seconds=60).value
        worker.renew()
        assert worker.run(os.getpid, seconds=60).value != first
