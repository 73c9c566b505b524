"""Why a row became slower: differences of the environment, the commits between, and where the time goes now.

torch's profiler splits a call by operator. Profiling makes a call slower, so the split shows where a change is, and the
pairs show how large it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lossimpl.building import run
from lossimpl.environment import by_likelihood, differences
from reports.gate.processes import Answer
from reports.gate.session import Session
from reports.record.rows import Row

PARTS = ("host overhead", "kernel", "allocation", "autograd", "data wait")
LARGEST = 5  # changes of operators in an explanation
IGNORED = ("ProfilerStep", "[memory]")
SELF_CPU, SELF_DEVICE, CALLS, BYTES = range(4)  # the columns of an operator in a worker's answer


def part_of(operator: str) -> str:
    """Which part of a call an operator belongs to.

    >>> part_of("aten::empty_like"), part_of("autograd::engine::evaluate_function: Mean"), part_of("aten::sub")
    ('allocation', 'autograd', 'kernel')
    """
    name = operator.lower()
    if "dataloader" in name:
        return "data wait"
    if any(word in name for word in ("autograd", "backward", "accumulategrad")) and not name.startswith("aten::"):
        return "autograd"
    if any(word in name for word in ("empty", "resize", "cudamalloc", "cudafree")):
        return "allocation"
    return "host overhead" if name.startswith("cuda") else "kernel"


def split(answer: Answer) -> dict[str, float]:
    """Seconds per call by part; time outside of all operators is overhead of the host."""
    parts = dict.fromkeys(PARTS, 0.0)
    for name, columns in _operators(answer).items():
        parts[part_of(name)] += columns[SELF_DEVICE] or columns[SELF_CPU]
    parts["host overhead"] += max(0.0, answer["seconds"] - sum(parts.values()))
    return parts


def why(base: Answer, head: Answer) -> dict[str, Any]:
    """The split of both sides, and the operators whose time, calls or bytes changed most."""
    before, after = split(base), split(head)
    operators = sorted(_moves(_operators(base), _operators(head)), key=lambda move: -abs(move["seconds"]))
    return {
        "parts": [{"part": part, "base": before[part], "head": after[part]} for part in PARTS],
        "operators": operators[:LARGEST],
    }


def _operators(answer: Answer) -> dict[str, list[float]]:
    return {name: one for name, one in answer["operators"].items() if not name.startswith(IGNORED)}


def _moves(base: Mapping[str, list[float]], head: Mapping[str, list[float]]) -> Iterable[dict[str, Any]]:
    for name in {**base, **head}:
        before, after = base.get(name, [0.0] * 4), head.get(name, [0.0] * 4)
        seconds = (after[SELF_DEVICE] or after[SELF_CPU]) - (before[SELF_DEVICE] or before[SELF_CPU])
        yield {
            "operator": name,
            "seconds": seconds,
            "calls": after[CALLS] - before[CALLS],
            "bytes": after[BYTES] - before[BYTES],
        }


def explained(session: Session, rows: list[Row], until: float) -> dict[Row, dict[str, Any]]:
    """The explanation of every row that both sides could profile in time."""
    base, head = (session.ask(side, "profile", rows, until).rows() for side in session.sides.values())
    profiled = [row for row in rows if all("operators" in one.get(row, {}) for one in (base, head))]
    return {row: why(base[row], head[row]) for row in profiled}


def environment(base: dict[str, Any], head: dict[str, Any]) -> list[tuple[str, str, str]]:
    """How the manifests of the two sides differ, except in the revision: the likeliest cause of a change first."""
    found = by_likelihood(differences(base, head), {})
    return [(name, str(old), str(new)) for name, old, new in found if name != "revision"]


def commits(repository: Path, base: str, head: str) -> list[str]:
    """The commits between the revisions, newest first, one line each."""
    return run(["git", "log", "--oneline", "--no-decorate", f"{base}..{head}"], repository).stdout.splitlines()
