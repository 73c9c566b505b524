"""Places in the user's code, from the stacks and exceptions that a dying or hanging process printed."""

from __future__ import annotations

import re

from lossimpl.loading.diagnosis.raised import describe
from lossimpl.loading.harness.launcher import Outcome

FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')
PRINTED = re.compile(
    r"^Process \S*Process-\d+:\n( +\+ Exception Group Traceback.*\n(?: .*\n)*|Traceback.*\n(?: .*\n)*\S.*)",
    re.MULTILINE,
)
# What is not the user's code: installed packages, the standard library, and this package but for its datasets.
LIBRARY = re.compile(
    r"/(?:site|dist)-packages/(?!lossimpl/loading/datasets/)|/lib/python3\.\d+/|<frozen|/lossimpl/loading/(?!datasets/)"
)


def last_words(outcome: Outcome) -> str:
    """What a dying process printed: a worker's exception that is no `Exception`, or the place of a fatal signal.

    torch does not catch the former, and `multiprocessing` prints it; `faulthandler` prints the latter.
    """
    raised, fatal = PRINTED.findall(outcome.output), outcome.output.rpartition("Fatal Python error")[2]
    if raised:
        return f"; it raised {describe(raised[-1], LIBRARY.search)}"
    return innermost_of_stack(fatal, "; it was in") if "Fatal Python error" in outcome.output else ""


def innermost_of_stack(stack: str, words: str) -> str:
    """The innermost function of the user's code in a stack of `faulthandler`, after `words`; empty without one."""
    frames = [match.groupdict() for match in FRAME.finditer(stack)]
    own = next((one for one in frames if not LIBRARY.search(one["file"])), None)
    return f"{words} {own['function']} ({own['file'].rpartition('/')[2]}:{own['line']})" if own else ""


def package_of_stack(outcome: Outcome) -> str:
    """The installed package in which a job hangs whose stacks show none of the user's code; empty if none is seen."""
    packages = [match["file"] for match in FRAME.finditer(outcome.output) if "-packages/" in match["file"]]
    found = next((name for name in packages if "/torch/" not in name and "/lossimpl/" not in name), "")
    return f"; it was in {re.split('(?:site|dist)-packages/', found)[-1]}" if found else ""
