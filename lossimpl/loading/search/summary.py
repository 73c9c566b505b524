"""The summary of a search, as one record for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from lossimpl import wording
from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.row import Row
from lossimpl.loading.search import advice
from lossimpl.loading.search.answer import Answer, choose, sentence
from lossimpl.loading.search.measured import Measured
from lossimpl.loading.search.search import Search
from lossimpl.loading.search.store import Record, key_of


@dataclass(frozen=True)
class Summary:
    """A search, finished or not: the answer, what was tried, the matrix of arguments, what was measured beside it."""

    dataset: str
    answer: Answer
    tried: Sequence[Measured]
    arguments: Sequence[Record]
    others: Sequence[Record]
    inspection: Inspection
    stall_bound: float
    budget: float
    seconds: float
    interrupted: bool
    needed: float | None = None
    stopped: str = ""
    lines: Sequence[str] = field(default_factory=tuple)

    @property
    def sentence(self) -> str:
        """The answer in one line, or why there is none."""
        found = self.answer
        if found.best:
            return sentence(found.best)
        if self.needed is not None:
            return too_short(self.inspection, self.budget, self.needed)
        if found.reordered:
            return "no setting keeps the order of num_workers=0"
        if found.refused:
            return f"no setting can be used: {found.refused[0].status}: {found.refused[0].reason}"
        return "nothing was measured yet"

    @property
    def own_arguments(self) -> list[str]:
        """The arguments of DataLoader that belong to the dataset."""
        return [name for name, present in self.inspection.has.items() if present]

    def record(self) -> Record:
        """The last line of a file of results: `arguments` and `others` are the lines of these kinds, too."""
        seen = self.inspection
        return {
            "key": key_of({"kind": "summary", "dataset": self.dataset, "seconds": self.seconds}),
            "kind": "summary",
            "dataset": self.dataset,
            "sentence": self.sentence,
            **asdict(self.answer),
            "tried": [asdict(row) for row in self.tried],
            "lines": list(self.lines),
            "arguments": self.arguments,
            "others": self.others,
            "facts": asdict(seen.facts) if seen.built else None,
            "call": paste(self.answer.best, self.own_arguments) if self.answer.best else None,
            "findings": [asdict(one) for one in seen.findings],
            "cost": asdict(seen.cost) if seen.cost else {},
            "stall_bound": self.stall_bound,
            "budget": self.budget,
            "seconds": self.seconds,
            "needed": self.needed,
            "stopped": self.stopped,
            "interrupted": self.interrupted,
        }


def too_short(seen: Inspection, budget: float, needed: float) -> str:
    """What makes a search too long for its budget, and which budget it needs."""
    costs = [f"constructing the dataset takes {wording.seconds(seen.built_seconds)}"] if seen.built_seconds > 1 else []
    costs += [f"a sample takes {wording.seconds(seen.sample_seconds)}"] if seen.sample_seconds > 0.02 else []
    why = f" ({' and '.join(costs)})" if costs else ""
    smallest = f"the smallest search takes about {needed:.0f} s{why}"
    return f"{smallest}, the budget is {budget:.0f} s: use --budget {1.2 * needed:.0f}"


def summarise(search: Search, stall_bound: float, interrupted: bool) -> Summary:
    """The summary of what a search found so far."""
    rows, seen = search.merged_rows(), search.seen
    answer = choose(rows, stall_bound)
    return Summary(
        dataset=search.bench.dataset,
        answer=answer,
        tried=sorted(rows, key=lambda row: -row.ranked_rate),
        arguments=search.effects,
        others=search.others,
        inspection=seen,
        stall_bound=stall_bound,
        budget=search.budget,
        seconds=search.budget - search.left,
        interrupted=interrupted,
        needed=search.needed,
        stopped=search.stopped,
        lines=tuple(remarks(answer, search.rows, seen, stall_bound)),
    )


def remarks(answer: Answer, rows: Sequence[Measured], seen: Inspection, stall_bound: float) -> Iterator[str]:
    """What stands below the answer, each in one line, without a repetition."""
    found: list[str] = []
    if answer.best:
        bound = advice.still_bound(answer.best, seen, stall_bound)
        found += [*([bound] if bound else []), *advice.scope(answer.best)]
    if answer.repeated and (bad := answer.repeated):
        found.append(f"Faster, but not usable: {bad.settings.text}: {bad.reason}; {bad.advice}")
    found += [*advice.of_inspection(seen), *advice.of_rows(answer.best, rows)]
    yield from dict.fromkeys(found)


def paste(row: Row, has: Sequence[str] = ()) -> str:
    """The call of DataLoader to paste, with the arguments that belong to the dataset as names.

    >>> print(paste(Row("digits", {"batch_size": 32, "num_workers": 2}), ["collate_fn"]))
    DataLoader(
        dataset,
        batch_size=32,
        num_workers=2,
        collate_fn=collate_fn,
    )
    """
    given = [f"{name}={value}" for name, value in row.settings.call_arguments().items()]
    lines = ["dataset", *given, *(f"{name}={name}" for name in has)]
    return "DataLoader(\n" + "".join(f"    {line},\n" for line in lines) + ")"
