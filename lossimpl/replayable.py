"""Which stored rows can be measured again, and what is measured beside each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from lossimpl import machine, stored
from lossimpl.lookup import Entry, Unusable
from lossimpl.measure.types import Rule
from lossimpl.ranking import FEWEST_ROUNDS, over_rounds
from lossimpl.rounds import RULE
from lossimpl.row import Row
from lossimpl.spec import Case

COSTLY = 1.0  # seconds per call beyond which an implementation is not measured beside another
SAME = ("machine", "commit", "session", "loss", "shape", "dtype", "device", "mode")  # of rows beside each other


@dataclass(frozen=True)
class Stored:
    """A row with those of the same case and session, and whether this machine has measured them."""

    row: Row
    beside: tuple[Row, ...]
    same_machine: bool

    @property
    def case(self) -> Case:
        """The case of the row."""
        row, shape = self.row, tuple(map(int, self.row.shape.split("x")))
        options = tuple(sorted(row.options.items()))
        return Case(row.loss, shape, row.dtype, row.device, row.mode, options, row.maker, row.seed)

    def beside_only(self, names: Collection[str]) -> Stored:
        """The same with those companions only that have one of these names."""
        return replace(self, beside=tuple(one for one in self.beside if one.implementation in names))

    @property
    def rule(self) -> Rule:
        """That of the stored rounds: calls with more samples than the least took about as long as the rule allowed."""
        rounds = [one for row in (self.row, *self.beside) for one in row.rounds]
        spent = [one.calls * sum(one.samples) for one in rounds if len(one.samples) > RULE.min_samples]
        return replace(RULE, max_seconds=median(spent)) if spent else RULE


def stored_row(entry: Entry, entries: Iterable[Entry]) -> Stored:
    """The row of an entry with its companions among others; Unusable if it is invalid or was changed."""
    if entry.fault:
        raise Unusable(f"{entry.place}: {entry.fault}")
    try:
        row = stored.row_of(entry.record)
    except ValueError as error:
        raise Unusable(f"{entry.place}: {error}") from error
    return Stored(row, companions(row, [*beside(entry, entries)]), entry.placed["machine"] == machine.name())


def comparable(entry: Entry) -> bool:
    """Whether the row is valid, as it was written, and has what a comparison needs."""
    try:
        return not entry.fault and not obstacle(stored.row_of(entry.record))
    except ValueError:
        return False


def obstacle(row: Row) -> str:
    """Why a row cannot be compared with anything, or the empty string."""
    if row.status == "disturbed":
        return f"the stored row is disturbed: {row.reason}"
    if row.maker == "given":
        return "it was measured on tensors of the user, which are not stored"
    if row.status == "unavailable" and row.reason.startswith("no answer"):
        return f"it was not waited for: {row.reason}"
    if row.status == "ok" and len(row.times) < FEWEST_ROUNDS:
        return f"it has {len(row.times)} quiet rounds, and {FEWEST_ROUNDS} support an interval"
    return ""


def companions(row: Row, rows: Sequence[Row]) -> tuple[Row, ...]:
    """The other rows of the same case and session that can be measured beside it, in a stored round's order."""
    return tuple(
        one
        for one in rows
        if one.implementation != row.implementation
        and _case(one) == _case(row)
        and one.status == "ok"
        and len(one.times) >= FEWEST_ROUNDS
        and over_rounds([*one.times.values()]).value < COSTLY
    )


def _case(row: Row) -> tuple[object, ...]:
    return (
        *(row.session, row.loss, row.shape, row.dtype, row.device, row.mode, row.maker, row.seed),
        *sorted(row.options.items()),
    )


def beside(entry: Entry, entries: Iterable[Entry]) -> Iterator[Row]:
    """The valid rows of the same case and session; the others cannot be measured beside one."""
    for one in entries:
        if all(one.placed.get(name) == entry.placed.get(name) for name in SAME) and not one.fault:
            try:
                yield stored.row_of(one.record)
            except ValueError:
                continue
