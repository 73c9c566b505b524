"""`lossimpl list`: losses x implementations x devices, with the reason where one is unavailable."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer


def list_(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show every implementation of every loss, and why one cannot run here."""
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


def show(found: dict[str, dict[str, dict[str, str | None]]]) -> None:
    """A table with one row per loss and one column per device, then each reason once."""
    from rich.console import Console
    from rich.table import Table

    table = Table("loss", *next(iter(found.values())), title="implementations", show_lines=True)
    reasons: dict[str, int] = {}
    for name, devices in found.items():
        table.add_row(name, *(cell(available, reasons) for available in devices.values()))
    console = Console()
    console.print(table)
    for reason, number in reasons.items():
        console.print(f"[dim]\\[{number}] {reason}[/dim]")


def cell(available: dict[str, str | None], reasons: dict[str, int]) -> str:
    """The implementations of one loss on one device; an unavailable one dim, with the number of its reason."""
    parts = []
    for name, reason in available.items():
        if reason is None:
            parts.append(f"[green]{name}[/green]")
        else:
            parts.append(f"[dim]{name} \\[{reasons.setdefault(reason, len(reasons) + 1)}][/dim]")
    return ", ".join(parts)
