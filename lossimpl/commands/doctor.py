"""`lossimpl doctor`: what is installed, what is unavailable and why, and whether this machine is fit for measuring."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossimpl.terminal import console

if TYPE_CHECKING:
    from lossimpl.fitness import Finding

SELF_TEST = "sweep-selftest.json"  # which `python -m reports sweep --self-test` writes
MARKS = {"good": "[green]good[/green]", "poor": "[yellow]poor[/yellow]", "unknown": "[dim]unknown[/dim]"}


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if the machine is not fit.")] = False,
) -> None:
    """Say what is installed, what is unavailable and why, and whether this machine is fit for measuring."""
    from lossimpl import LOSSES, environment, fitness

    manifest = environment.manifest()
    missing = unavailable({name: loss.available for name, loss in LOSSES.items()})
    findings = list(fitness.check())
    if json:
        found = {"manifest": manifest, "unavailable": missing, "fitness": [asdict(finding) for finding in findings]}
        typer.echo(json_module.dumps(found | {"recommended_rounds": recommended_rounds()}, indent=2))
    else:
        show(manifest, missing, findings)
    if strict and any(finding.state == "poor" for finding in findings):
        raise typer.Exit(1)


def recommended_rounds() -> int | None:
    """The rounds that the self-test of this machine recommends; None without a readable record of this machine."""
    from lossimpl import machine

    try:
        record = json_module.loads((machine.state() / SELF_TEST).read_text())
        return int(record["recommended_rounds"]) if record["machine"] == machine.name() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def unavailable(available: dict[str, Any]) -> list[dict[str, Any]]:
    """What cannot run here: device, reason, and for each implementation the losses that this holds for."""
    from lossimpl.spec import DEVICES

    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for loss, ask in available.items():
        for device in DEVICES:
            for name, reason in ask(device).items():
                if reason is not None:
                    found.setdefault((device, reason), {}).setdefault(name, []).append(loss)
    return [{"device": device, "reason": reason, "losses": names} for (device, reason), names in found.items()]


def show(manifest: dict[str, Any], missing: list[dict[str, Any]], findings: Iterable[Finding]) -> None:
    """Three tables and one sentence."""
    from rich import box
    from rich.table import Table

    out = console()
    gpu = manifest["gpu"]["model"] if manifest["gpu"] else "no GPU that torch can use"
    out.print(f"[bold]{manifest['cpu']['model']}[/bold], {manifest['cpu']['cores']} cores; {gpu}")
    versions = ", ".join(f"{name} {version}" for name, version in manifest["packages"].items())
    out.print(f"Python {manifest['python']}; {versions}", highlight=False)

    reasons = Table("device", "unavailable", "why", box=box.SIMPLE_HEAD)
    for one in missing:
        reasons.add_row(one["device"], ", ".join(one["losses"]), one["reason"])
    out.print(reasons if missing else "Every implementation is available on every device.")

    fitness = Table("check", "state", "finding", "advice", box=box.SIMPLE_HEAD)
    poor = []
    for finding in findings:
        fitness.add_row(finding.topic, MARKS[finding.state], finding.text, finding.advice)
        poor += [finding.topic] if finding.state == "poor" else []
    out.print(fitness)
    if rounds := recommended_rounds():
        out.print(f"Rounds for ratios within 5 % on this machine: {rounds} (--rounds of `compare` and of the sweep).")
    else:
        out.print("How many rounds this machine needs: unknown; `python -m reports sweep --self-test` finds out.")
    out.print(f"Not fit for publishing numbers: {', '.join(poor)}." if poor else "Fit for measuring.")
