"""The case behind a row's parameters, why it cannot run here, and its call: what the gate needs.

Light on purpose: the gate starts a process for each measurement, and what this imports is paid there every time.
"""

import importlib
from collections.abc import Callable

from lossimpl import registry
from lossimpl.measure import threads, workload
from lossimpl.spec import Case

OPTIONS = {"sigmoid_focal_loss": (("reduction", "mean"),)}  # its default, none, is not what training uses


def case_of(loss: str, shape: str, dtype: str, device: str, mode: str) -> Case:
    """The case that a row's parameters name."""
    return Case(loss, tuple(map(int, shape.split("x"))), dtype, device, mode, OPTIONS.get(loss, ()))


def refusal(loss: str, implementation: str, *params: str) -> str | None:
    """Why this row cannot run on this machine with this version, or None."""
    chosen = registry.get(loss).implementations.get(implementation)
    if chosen is None:
        return f"no implementation {implementation!r}"
    case = case_of(loss, *params)
    return chosen.available(case.device) or chosen.serves(case)


def ready(benchmark: str, *params: object) -> Callable[[], object]:
    """The call without arguments that the gate times for a row, unchecked."""
    if benchmark == "loading":
        return importlib.import_module(f"{__package__}.loading").batches(*params)
    return calculation(benchmark, *params)


def calculation(loss: str, implementation: str, *params: str) -> Callable[[], object]:
    """One call of a loss."""
    threads.fix()
    case, known = case_of(loss, *params), registry.get(loss)
    function = known.implementations[implementation].load(case.device)
    return workload.prepare(function, workload.inputs_of(known, case), case.mode)


def import_compiler() -> None:
    """Import what torch.compile needs, for processes that are forked afterwards."""
    from . import common

    common.import_compiler()
