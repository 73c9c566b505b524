"""All implementations of one case, measured here and now in rounds, within about a minute.

First each implementation runs alone: is it right, how much memory does it take, how slow is it roughly? One that is far
behind is reported with a lower bound and not measured further. Then the others take turns in rounds, each round in a
fresh process; more rounds replace disturbed ones while there is time. No implementation is waited for longer than its
deadline, since the process that runs it can be ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from lossimpl import environment, given, identity, lookup, machine, ranked, registry, wording
from lossimpl.forks import Additions, Outcome, Server, Task
from lossimpl.measure import wall
from lossimpl.measure.types import Rule
from lossimpl.ranking import FEWEST_ROUNDS
from lossimpl.rounds import RULE
from lossimpl.row import Row, combined
from lossimpl.spec import COMPILING, Case, Function, Implementation, Loss

if TYPE_CHECKING:
    from rich.console import RenderableType
    from torch import Tensor

ROUNDS = 5
BUDGET = 40.0  # seconds per case, after which no further round replaces a disturbed one
TRIAL_RULE = Rule(max_seconds=0.05, min_samples=1, max_samples=3, warmup_seconds=0.0)
PATIENCE = 15.0  # seconds for one implementation in one process
COMPILE_PATIENCE = 90.0  # as much for one that compiles
CALLS_OF_A_TRIAL = 6  # at most, unless they are fast: a first one, a warm-up, a sample, and those that count memory
SLOW, FAR = 0.5, 5.0  # far behind: a call takes more than SLOW seconds, and FAR times as long as the fastest
BASELINE, BASELINE_SLOW = "torch", 3.0  # what ratios are wanted to is left out only beyond this
Say = Callable[[str], object]


class Runner(Protocol):
    """Runs a round in a process of its own."""

    def run(self, task: Task, seconds: float, began: Callable[[str], object] = ...) -> Outcome:
        """The rows, or why there are none."""


@dataclass(frozen=True)
class Comparison:
    """The rows of one case. Its repr is the ranked table."""

    case: Case
    rows: tuple[Row, ...]

    @property
    def ranked(self) -> list[ranked.Ranked]:
        """The correct rows, fastest first, with ranks and paired ratios."""
        return ranked.ranked(self.rows)

    @property
    def title(self) -> str:
        """The case in one line."""
        case = self.case
        options = "".join(f", {name}={value}" for name, value in case.options)
        return f"{case.shape_text} {case.dtype} on {case.device}, {case.mode}, {case.maker} inputs{options}"

    def to_records(self) -> list[dict[str, Any]]:
        """One flat dictionary per implementation, as `pandas.DataFrame` takes them: seconds, ratios, ranks."""
        ids, places = self.ids, {one.row.implementation: one for one in self.ranked}
        return [{"id": ids[row.implementation]} | _record(row, places.get(row.implementation)) for row in self.rows]

    def stored(self) -> list[dict[str, Any]]:
        """The rows as `lossimpl replay` reads them."""
        place = {"machine": machine.name(), "commit": environment.manifest()["revision"]}
        return [identity.identified(asdict(row) | place) for row in self.rows]

    @property
    def ids(self) -> dict[str, str]:
        """The id of each implementation's row, by which `lossimpl replay` knows it."""
        return {str(row["implementation"]): str(row["id"]) for row in self.stored()}

    def rendered(self, width: int) -> list[RenderableType]:
        """The ranked table, and the ids of the rows: what a console prints, one by one."""
        from rich.text import Text

        words = ", ".join(f"{name} {one}" for name, one in self.ids.items())
        return [*ranked.rendered(self.rows, self.title, width), Text(f"Ids of the rows, for replay: {words}", "dim")]

    def __repr__(self) -> str:
        """The ranked table in 80 columns."""
        import io

        from rich.console import Console

        console = Console(file=io.StringIO(), width=80)
        for part in self.rendered(80):
            console.print(part)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]  # a StringIO


def _record(row: Row, place: ranked.Ranked | None) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(row, name) for name in ("implementation", "status", "reason")}
    found |= {"rank": place and place.rank, "rounds": len(row.times)}
    for name, interval in (("seconds", place and place.time), ("slower", place and place.slower)):
        found |= {f"{name}{end}": interval and getattr(interval, at) for end, at in ENDS}
    return found | {"peak_bytes": row.peak_bytes, "saved_bytes": row.saved_bytes}


ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))


def compare(
    name: str,
    *tensors: Tensor,
    implementations: Mapping[str, Function] | None = None,
    beside: Sequence[str] | None = None,
    mode: str = "step",
    rounds: int = ROUNDS,
    **options: Any,
) -> Comparison:
    """Rank your own implementations of a loss beside the registered ones, on your own tensors.

    `implementations` maps a name to a function with the loss's signature; it is sent to other processes, so what it
    refers to must be picklable by cloudpickle (lambdas and closures are). `beside` names the registered implementations
    to measure with them, by default all. Without tensors the loss's default case is measured. `options` are those of
    the loss. Each of at least `rounds` rounds is a fresh process, and a case takes about a minute.

    Raises ValueError for an unknown loss, implementation or option value, or a name that is taken.

    >>> import lossimpl, torch
    >>> mine = lambda input, target, reduction="mean": (input - target).square().mean()
    >>> a, b = torch.randn(64, 8), torch.randn(64, 8)
    >>> found = lossimpl.compare("mse_loss", a, b, implementations={"mine": mine}, beside=["torch"], rounds=1)
    >>> [row.implementation for row in found.rows]
    ['torch', 'mine']
    """
    loss, own = registry.get(name), dict(implementations or {})
    for one in own:
        if one in loss.implementations:
            raise ValueError(
                f"implementations: {one!r} is taken, choose a name outside {', '.join(loss.implementations)}"
            )
    names = given.implementations(loss, loss.implementations if beside is None else beside)
    case, held = given.case_of_tensors(loss, tensors, mode, options)
    added = {one: Implementation(one, registry.always(function)) for one, function in own.items()}
    with Server() as server:
        prepare(server, loss, names, added, held)
        return finished(case, measured(server, case, [*names, *own], rounds))


def finished(case: Case, rows: Sequence[Row]) -> Comparison:
    """The comparison of these rows, which are kept, so that `lossimpl replay` finds them by their ids."""
    found = Comparison(case, tuple(rows))
    lookup.keep(found.stored(), environment.manifest())
    return found


def prepare(
    server: Server,
    loss: Loss,
    names: Sequence[str],
    added: Mapping[str, Implementation] | None = None,
    tensors: Mapping[str, Tensor] | None = None,
) -> None:
    """Give the server what it lacks for a loss: what this process registered, and the user's tensors.

    What the native library needs is built here, where the build can show its progress.
    """
    if "native" in names:
        with suppress(Exception):  # its row says why
            loss.implementations["native"].load("cpu")
    known = server.known()
    new = {name: loss.implementations[name] for name in names if name not in known.get(loss.name, ())}
    if new or added or tensors:
        missing = None if loss.name in known else loss
        server.add(Additions(loss.name, {**new, **(added or {})}, missing, tensors or {}))


def silent(text: str) -> None:
    """Say nothing."""


def measured(
    runner: Runner, case: Case, names: Sequence[str], rounds: int = ROUNDS, say: Say = silent, budget: float = BUDGET
) -> list[Row]:
    """The rows of the case, in the order of `names`."""
    progress = Progress(case, say, wall.now())
    trials, times = dict[str, Row](), dict[str, float]()
    for name in by_patience(names):
        row = trials[name] = trial(runner, case, name, progress, times)
        if row.status == "ok" and row.rounds:
            times[name] = row.rounds[0].seconds
    fastest = min(times.values(), default=0.0)
    open = [name for name in names if name in times and times[name] <= max(limit(name), FAR * fastest)]
    found = {name: [replace(trials[name], rounds=())] for name in open}
    _rounds(runner, case, found, rounds, progress, budget)
    rows = {name: combined(found[name]) if name in found else trials[name] for name in names}
    session = identity.new_session()
    return [replace(bounded_below(row, rows.values()), session=session) for row in rows.values()]


def limit(name: str) -> float:
    """The seconds per call up to which an implementation is measured in rounds, however far behind it is."""
    return BASELINE_SLOW if name == BASELINE else SLOW


def by_patience(names: Sequence[str]) -> list[str]:
    """The names in the order of trying: what answers soon first, what compiles last."""
    early = {"torch": 0, "native": 1, "vectorized": 2, "naive": 4}
    return sorted(names, key=lambda name: 5 if name in COMPILING else early.get(name, 3))


@dataclass
class Progress:
    """Says what is being done, and how much time is left."""

    case: Case
    say: Say
    started: float
    lengths: list[float] = field(default_factory=list)

    def trying(self, name: str) -> None:
        """An implementation runs alone."""
        self.say(f"{self.case.loss} {self.case.shape_text} {self.case.dtype}: trying {name}")

    def tried(self, row: Row) -> None:
        """An implementation has run alone."""
        took = (
            f"about {wording.seconds(row.rounds[0].seconds)} per call" if row.rounds else f"{row.status}, {row.reason}"
        )
        self.say(f"{row.implementation}: {took}")

    def round(self, number: int, of: int) -> None:
        """A round begins."""
        left = f", about {max(1, of - number + 1) * self.lengths[-1]:.0f} s left" if self.lengths else ""
        place = f"round {number} of {of}" if number <= of else f"round {number}, in place of a disturbed one"
        self.say(f"{self.case.loss} {self.case.shape_text} {self.case.dtype}: {place}{left}")


def trial(runner: Runner, case: Case, name: str, progress: Progress, times: Mapping[str, float]) -> Row:
    """The row of an implementation that runs alone, after those of `times`; `unavailable` if it is not done in time."""
    progress.trying(name)
    outcome = runner.run(Task(case, (name,), ranked.TRIAL, TRIAL_RULE), patience(name))
    row = outcome.rows[0] if outcome.rows else failure(case, name, outcome, times)
    progress.tried(row)
    return row


def patience(name: str) -> float:
    """The seconds that an implementation may take in one process."""
    return COMPILE_PATIENCE if name in COMPILING else PATIENCE


def failure(case: Case, name: str, outcome: Outcome, times: Mapping[str, float] = MappingProxyType({})) -> Row:
    """The row of an implementation whose process gave no row; `peak_bytes` and the like are unknown."""
    late = outcome.reason.startswith("no answer")
    row = Row(
        case.loss,
        name,
        case.shape_text,
        case.dtype,
        case.device,
        case.mode,
        dict(case.options),
        case.maker,
        case.seed,
        status="unavailable" if late else "error",
        reason=outcome.reason,
    )
    if late and outcome.calling and name not in COMPILING:
        least = outcome.calling / CALLS_OF_A_TRIAL
        fastest = min(times, key=lambda one: times[one], default="")
        slower = f", at least {multiple(least / times[fastest])} times as long as {fastest}" if fastest else ""
        return replace(row, reason=f"{row.reason}: a call takes at least {least:.2g} s{slower}")
    return row


def _rounds(
    runner: Runner, case: Case, found: dict[str, list[Row]], rounds: int, progress: Progress, budget: float
) -> None:
    """Measure rounds, and at most as many again in place of disturbed ones, until the budget is spent."""
    number, open = 0, list(found)
    while open and (number < rounds or (number < 2 * rounds and wall.now() - progress.started < budget)):
        if number >= rounds and all(_quiet(found[name]) >= min(rounds, FEWEST_ROUNDS) for name in open):
            return
        number += 1
        progress.round(number, rounds)
        started = wall.now()
        task = Task(case, tuple(open), number, RULE, checked=tuple(open))
        outcome = runner.run(task, max(map(patience, open)))
        progress.lengths.append(wall.now() - started)
        for row in outcome.rows:
            found[row.implementation].append(row)
        if not outcome.rows:  # the one that ended the process is not tried again
            culprit = outcome.implementation or open[0]
            open.remove(culprit)
            found[culprit] = [failure(case, culprit, outcome)]


def _quiet(rows: Sequence[Row]) -> int:
    return sum(len(row.quiet) for row in rows if row.status == "ok")


def bounded_below(row: Row, rows: Any) -> Row:
    """The row, or that of an implementation far behind with how many times slower it is at least."""
    if not ranked.is_capped(row):
        return row
    timed = ranked.ranked([*rows])
    one = row.rounds[0]
    if not timed:
        return replace(row, reason=f"a call took {one.seconds:.2g} s")
    fastest = timed[0].row
    least = min(one.samples) / max(fastest.times.values())
    beside = f", while {one.busy}" if one.busy else ""
    reason = (
        f"at least {multiple(least)} times as slow as {fastest.implementation} ({one.seconds:.2g} s per call{beside})"
    )
    return replace(row, reason=reason)


def multiple(ratio: float) -> str:
    """How many times, to two digits.

    >>> multiple(3.456), multiple(153.2)
    ('3.5', '153')
    """
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"
