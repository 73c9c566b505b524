"""Which functions of the measured package, and which generated code, a call executes."""

import os
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from .suite import Call


def executed(call: Call, roots: list[str]) -> tuple[Any, list[list[str]]]:
    """What a call returns, and file and qualified name of each function that it executes below the folders `roots`.

    A file is named relative to its folder. Generated code has its content's hash in its file's name, so equal names are
    equal code. Functions that a compiler has traced into its own code count as executed.
    """
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            seen.add(frame.f_code)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        result = call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    found = {(name, code.co_qualname) for code in seen if (name := relative(code.co_filename, roots))}
    return result, sorted(map(list, found))


def relative(path: str, roots: list[str]) -> str | None:
    """The path below the first of the folders that contains it, or None."""
    resolved = os.path.realpath(path)
    for root in map(os.path.realpath, roots):
        if resolved.startswith(root + os.sep):
            return Path(resolved).relative_to(root).as_posix()
    return None
