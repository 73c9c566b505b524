"""What a row measured again must give exactly: the bits of its results, and the bytes of memory.

Neither scatters from round to round, so one check decides. A result that differs from the stored one is computed a
second time: one that differs from call to call cannot be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lossimpl import bits, wording
from lossimpl.row import Row


class Finding(NamedTuple):
    """Whether something is the same as stored, None if it cannot be compared, and that in words."""

    same: bool | None
    line: str


def findings(stored: Row, now: Row, again: Callable[[], Row | None]) -> list[Finding]:
    """The results and the memory of two rows of one implementation and case; `again` measures once more."""
    return [*results(stored, now, again), *memory(stored, now)]


def results(stored: Row, now: Row, again: Callable[[], Row | None]) -> list[Finding]:
    """The value and each gradient, on the shape on which agreement is checked."""
    then, new = bits_of(stored), bits_of(now)
    if not then or not new:
        return [Finding(None, "value and gradients: not comparable, since their bits were not stored")]
    if stored.checked_shape != now.checked_shape or then.keys() != new.keys():
        return [Finding(None, "value and gradients: not comparable, since agreement is checked on other tensors now")]
    changed = {name: words for name in then if (words := bits.difference(then[name], new[name]))}
    same = [name for name in then if name not in changed]
    second = bits_of(repeated) if changed and (repeated := again()) else {}
    found = [_changed(name, words, new[name], second.get(name)) for name, words in changed.items()]
    return [Finding(True, f"{wording.names(same)}: the same to the bit"), *found] if same else found


def _changed(name: str, words: str, now: bits.Bits, second: bits.Bits | None) -> Finding:
    if second is not None and bits.difference(now, second):
        return Finding(None, f"{name}: not comparable, since its bits differ from call to call")
    return Finding(False, f"{name}: {words}")


def bits_of(row: Row) -> dict[str, bits.Bits]:
    """The bits of each result of a row; older rows have none."""
    found: dict[str, bits.Bits] = (row.agreement or {}).get("bits") or {}
    return found


def memory(stored: Row, now: Row) -> list[Finding]:
    """The bytes allocated in a call, and those kept for backward."""
    found = []
    for name, then, new in (
        ("peak memory", stored.peak_bytes, now.peak_bytes),
        ("memory saved for backward", stored.saved_bytes, now.saved_bytes),
    ):
        if then is None or new is None:
            found.append(Finding(None, f"{name}: not comparable, since it was not measured"))
        elif then == new:
            found.append(Finding(True, f"{name}: {wording.size(new)}, as stored"))
        else:
            found.append(Finding(False, f"{name}: {then} -> {new} bytes"))
    return found
