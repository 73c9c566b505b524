"""Reads exceptions back from the text of a traceback, which is all that a worker sends of them.

Python prints the causes of an exception before it and the members of a group after it, behind a margin of bars.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

LONGEST = 300  # characters of a message that are shown
PACKAGE = re.compile(r"-packages/(?!torch/|lossimpl/)")  # shown where no code of the user's is
MEMBERS = 4  # of a group that are shown one by one
OF_A_WORKER = re.compile(r"Caught \S+ in [^\n]*\.\nOriginal ")  # torch.utils.data.ExceptionWrapper
MARGIN = re.compile(r"^ *\| ?|^ *\+ (?=Exception Group Traceback)", re.MULTILINE)
MEMBER = re.compile(r"^ *\+[-+]*-+ (?:\d+|\.\.\.) -+$", re.MULTILINE)
GROUP_END = re.compile(r"^ *\+-+$", re.MULTILINE)
CAUSE = "The above exception was the direct cause of the following exception:"
CONTEXT = "During handling of the above exception, another exception occurred:"
LINK = re.compile(rf"\n+({CAUSE}|{CONTEXT})\n+")
FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)', re.MULTILINE)
HEAD = re.compile(r"^(?!Traceback|Exception Group Traceback)\S.*(?:\n.*)*", re.MULTILINE)
NAMES_TRACEBACK = re.compile(r"^(Exception Group )?Traceback \(most recent call last\):\n", re.MULTILINE)


@dataclass(frozen=True)
class Raised:
    """One exception: its message, and the frames (file, line, function) it went through, the innermost last."""

    message: str
    frames: tuple[tuple[str, str, str], ...]

    def text(self, foreign: Callable[[str], object]) -> str:
        """The message and its place, in the innermost file that is not `foreign`, else the innermost package's."""
        own = [one for one in self.frames if not foreign(one[0])]
        own = own or [one for one in self.frames if PACKAGE.search(one[0])]
        place = f" (in {own[-1][2]}, {own[-1][0].rpartition('/')[2]}:{own[-1][1]})" if own else ""
        return f"{self.message}{place}"


def describe(text: str, foreign: Callable[[str], object]) -> str:
    """An exception with its place and its cause, and the members of a group with theirs."""
    whole = OF_A_WORKER.split(text)[-1]
    own, *members = MEMBER.split(GROUP_END.sub("", whole)) if "Exception Group Traceback" in whole else [whole]
    inside = [chain(MARGIN.sub("", one), foreign) for one in members]
    more = f"; and {len(inside) - MEMBERS} more" if len(inside) > MEMBERS else ""
    outer = chain(MARGIN.sub("", own) if members else own, foreign)
    return "; ".join([f"{outer}; inside it: {inside[0]}", *inside[1:MEMBERS]]) + more if inside else outer


def chain(text: str, foreign: Callable[[str], object]) -> str:
    """An exception followed by the one that it was raised from or while handling."""
    *earlier, last = LINK.split(text)
    raised, before = read(last).text(foreign), read(earlier[-2]).text(foreign) if earlier else ""
    if before in ("", raised):
        return raised
    return f"{raised}; {'caused by' if earlier[-1] == CAUSE else 'raised while handling'} {before}"


def read(text: str) -> Raised:
    """One traceback with the exception at its end; text without a traceback is all message."""
    frames = tuple((one["file"], one["line"], one["function"]) for one in FRAME.finditer(text))
    start = list(NAMES_TRACEBACK.finditer(text))
    body = text[start[0].end() :] if start else text
    head = HEAD.search(body)
    return Raised(shortened(head.group() if head else body) or "(no message)", frames)


def shortened(message: str) -> str:
    """A message in one line of at most `LONGEST` characters, and an ellipsis where it is longer."""
    line = " ".join(message.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
