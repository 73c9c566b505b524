"""What our command lines share: output that any terminal can show, and no traceback for what a user can fix.

Exit codes: 0 done; 1 the answer is no (a check failed, nothing could be measured, a number is not reproduced); 2 a
wrong option, name or file; 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EXIT_CODES = "Exit codes: 0 done; 1 the answer is no; 2 a wrong option, name or file; 130 interrupted."


def run(name: str, command: Callable[[], object]) -> None:
    """Run a command to its exit: characters that a terminal lacks become `?`, and an OSError one line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # None if closed
            stream.reconfigure(errors="replace")
    try:
        command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        leave(f"{name}: interrupted", 130)
    except BrokenPipeError:  # such as `lossimpl list | head`
        leave("", 1)
    except OSError as error:
        leave(f"{name}: {error}", 2)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Delay Ctrl-C until the end of this block; a child process started in it never receives one.

    Code that runs during an import may swallow the signal. A terminal sends it to child processes too, which would
    print a traceback; a blocked signal is inherited as blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def import_torch() -> None:
    """Import torch, which takes seconds, so that a Ctrl-C meanwhile is not lost."""
    with interrupts_blocked():
        importlib.import_module("torch")


def leave(message: str, code: int) -> None:
    """Print the message and exit without flushing output that nothing reads any more."""
    if message and sys.stderr is not None:
        print(message, file=sys.stderr, flush=True)
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
