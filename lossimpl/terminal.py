"""What our command lines share: output that any terminal can show, and no traceback for what a user can fix.

Exit codes: 0 done; 1 the answer is no (a check failed, nothing could be measured, a number is not reproduced); 2 a
wrong option, name or file; 3 there is no answer (`replay`: inconclusive, not comparable); 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

EXIT_CODES = "Exit codes: 0 done; 1 the answer is no; 2 a wrong option, name or file; 3 no answer; 130 interrupted."


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
    except BrokenPipeError:  # the reader has closed its end, as in `lossimpl list | head`
        leave("", 0)
    except SystemExit:
        if type(sys.stdout).__name__ == "PacifyFlushWrapper":  # typer saw the closed pipe first, and ends with 1
            leave("", 0)
        raise
    except OSError as error:
        leave(f"{name}: {error}", 2)


def console(**options: Any) -> Console:
    """rich's console; a reader that closes its end, as `head` does, ends the command with 0."""
    from rich.console import Console

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            leave("", 0)

    return Ours(**options)


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
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)
