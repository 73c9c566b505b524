"""The program that runs rounds: it imports torch, computes nothing itself, and forks a process for each round.

`forks` starts it, with the running version of lossimpl or with that of another commit. So it takes and sends plain
values only (names, numbers, dictionaries), and imports what it needs of the package when it is asked to.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn


def serve(descriptor: int) -> NoReturn:
    """Answer the requests of the process at the other end of a pipe until it closes its end."""
    pipe = Connection(descriptor)
    importlib.import_module("lossimpl.rounds")
    registry = importlib.import_module("lossimpl.registry")
    gc.freeze()  # imported objects live as long as the process: the collector of a fork need not touch their pages
    pipe.send({name: list(loss.implementations) for name, loss in registry.LOSSES.items()})
    try:
        while True:
            kind, content = pipe.recv()
            if kind == "add":
                _add(content)
            elif kind == "compiler":
                import_compiler()
                gc.freeze()
                pipe.send(None)
            elif kind == "round":
                _fork(pipe, content)
    except (EOFError, ConnectionError):
        os._exit(0)  # without the farewell of libraries


def import_compiler() -> None:
    """Import what torch.compile needs and compile once, on one thread, which later compiles in each fork profit from.

    The import looks for a GPU, and a process that has asked the CUDA driver cannot use it after a fork: suppressed.
    """
    import torch

    asked, torch.cuda.is_available = torch.cuda.is_available, lambda: False
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        importlib.import_module("torch._inductor.compile_fx")
        torch.compile(lambda x: (x * 2 + x.exp()).mean())(torch.ones(4, requires_grad=True)).backward()
        torch.compiler.reset()
    finally:
        torch.cuda.is_available = asked
        torch.set_num_threads(count)


def _add(additions: Any) -> None:
    from lossimpl import given, registry

    if additions.new_loss is not None:
        registry.register_loss(additions.new_loss)
    registry.get(additions.loss).implementations.update(additions.implementations)
    if additions.tensors:
        given.add_maker(additions.loss, additions.tensors)


def _fork(pipe: Connection, task: Mapping[str, Any]) -> None:
    """Run the round in a fork and pass on what it reports; a message from the other end, or its end, ends the fork."""
    mine, theirs = Pipe(duplex=False)
    process = os.fork()
    if not process:
        try:
            _measure(theirs, task)
        finally:
            os._exit(0 if theirs.closed else 1)
    theirs.close()
    try:
        while True:
            if pipe in wait([mine, pipe]):
                pipe.recv()
                break
            pipe.send(mine.recv())
    except EOFError:  # of either
        pass
    mine.close()
    os.kill(process, signal.SIGKILL)  # it has either ended, and waits for us, or shall end
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    pipe.send(("ended", code))


def _measure(pipe: Connection, task: Mapping[str, Any]) -> None:
    try:
        pipe.send(("rows", [asdict(row) for row in _rows(pipe, task)]))
    except ValueError as error:  # a name that this version does not know
        pipe.send(("refused", str(error)))
    pipe.close()


def _rows(pipe: Connection, task: Mapping[str, Any]) -> list[Any]:
    from lossimpl import rounds, spec
    from lossimpl.measure.types import Rule

    def report(stage: str, name: str) -> None:
        pipe.send((stage, name))

    case, rule = _made(spec.Case, task["case"]), _made(Rule, task["rule"])
    return rounds.measure_round(
        case, task["implementations"], task["number"], rule, checked=task["checked"], report=report
    )


def _made(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """An object of a class of this version, which may lack fields that the asking one has."""
    known = {one.name for one in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in known})


if __name__ == "__main__":
    serve(int(sys.argv[1]))
