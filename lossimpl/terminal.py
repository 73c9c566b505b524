"""What our command lines do alike: text that any terminal can show, no traceback for what a user can mend.

Exit codes: 0 done; 1 the answer is no (a check failed, nothing could be measured, a number is not reproduced); 2 the
question cannot be answered as it was put (an option, a name, a file); 130 interrupted.
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
    """Run a command to its exit: a terminal without a sign shows `?`, a file that fails is named in one line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a closed one is None
            stream.reconfigure(errors="replace")
    try:
        command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        leave(f"{name}: interrupted", 130)
    except BrokenPipeError:  # the reader has seen enough
        leave("", 1)
    except OSError as error:
        leave(f"{name}: {error}", 2)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C is heard after this block: code that is imported may swallow it, and a child started here never hears it.

    The terminal sends it to a child too, which would print a traceback; a blocked signal is inherited as blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def import_torch() -> None:
    """Import torch, which takes seconds, so that a Ctrl-C meanwhile is not lost."""
    with undisturbed():
        importlib.import_module("torch")


def leave(message: str, code: int) -> None:
    """Say why, and end without a flush of what nobody can take any more."""
    if message and sys.stderr is not None:
        print(message, file=sys.stderr, flush=True)
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
