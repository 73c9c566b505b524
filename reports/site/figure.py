"""`python -m reports figure`: README's picture, drawn from stored results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import matplotlib
import pandas as pd
import typer

from lossimpl import wording
from lossimpl.spec import Device
from reports.site.figures.overview import overview
from reports.site.material import Material, gather
from reports.statistics.answers import answers


def figure(
    results: Annotated[Path, typer.Option(help="asv's results folder, with our side-cars.")] = Path("results"),
    out: Annotated[Path, typer.Option(help="File to write; its suffix names the format.")] = Path("docs/ceiling.svg"),
    device: Annotated[Device, typer.Option(help="The device to draw.")] = "cpu",
) -> None:
    """Draw the share of the ceiling of each loss on the machine that was measured last."""
    rows = newest(gather(results), device)
    if rows.empty:
        raise typer.BadParameter(f"{results} has no ranked result on {device}", param_hint="--device")
    picture = overview(rows, legend=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "README"}):
        picture.savefig(out, facecolor="white", metadata={"Date": None} if out.suffix == ".svg" else None, dpi=200)
    typer.echo(str(out))


def newest(material: Material, device: str) -> pd.DataFrame:
    """The ranked rows of the case that stands for each loss, in the newest session that says much on this device."""
    for session in sorted(material.current, key=lambda one: one.preference):
        found = answers(material.rankings_of(session, device))
        found.sort(key=lambda one: material.loss_names.index(one.case.case["loss"]))
        rows = [row for one in found for row in one.case.ranked if wording.known(row["share"])]
        if rows:
            return pd.DataFrame(rows)
    return material.no_rows
