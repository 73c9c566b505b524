"""`lossimpl list`: the implementations of each loss that run here, and why others do not."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator
from typing import Annotated

import typer

from lossimpl.terminal import console

Found = dict[str, dict[str, dict[str, str | None]]]  # loss -> device -> implementation -> why it cannot run, or None


def list_(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the implementations of every loss that run here, and why others cannot."""
    from lossimpl import LOSSES
    from lossimpl.registry import FAILED
    from lossimpl.spec import DEVICES

    found = {name: {device: loss.available(device) for device in DEVICES} for name, loss in LOSSES.items()}
    if json:
        typer.echo(json_module.dumps({"losses": found, "failed_plugins": FAILED}, indent=2))
        return
    show(found)
    for plugin, reason in FAILED.items():
        typer.echo(f"plug-in {plugin} failed to load: {reason}")


def show(found: Found) -> None:
    """A table with one row per loss and one column per device on which something runs, then each reason once."""
    from rich import box
    from rich.table import Table

    devices = [device for device in next(iter(found.values())) if any(runs(found[name][device]) for name in found)]
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("loss", *devices):
        table.add_column(heading, overflow="fold", no_wrap=heading == "loss")
    for name, by_device in found.items():
        table.add_row(name, *(", ".join(runs(by_device[device])) for device in devices))
    out = console()
    out.print(table)
    for line in unavailable(found):
        out.print(line, markup=False, highlight=False, style="dim")


def runs(available: dict[str, str | None]) -> list[str]:
    """The implementations without a reason against them."""
    return [name for name, reason in available.items() if reason is None]


def unavailable(found: Found) -> Iterator[str]:
    """One line per device and reason, with the implementations that it holds for; `all` where nothing runs."""
    names: dict[tuple[str, str], dict[str, None]] = {}
    for by_device in found.values():
        for device, available in by_device.items():
            for name, reason in available.items():
                if reason is not None:
                    names.setdefault((device, reason), {})[name] = None
    for (device, reason), held in names.items():
        idle = not any(runs(by_device[device]) for by_device in found.values())
        yield f"unavailable on {device}: {'all' if idle else ', '.join(held)} ({reason})"
