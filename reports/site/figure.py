"""`python -m reports figure`: README's picture, drawn from stored results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import matplotlib
import pandas as pd
import typer

from lossimpl.spec import Device
from reports.site.figures.overview import overview
from reports.site.material import Material, gather
from reports.statistics.answers import answers, shares


def figure(
    results: Annotated[Path, typer.Option(help="asv's results folder, with our side-cars.")] = Path("results"),
    out: Annotated[Path, typer.Option(help="File to write; its suffix names the format.")] = Path("docs/ceiling.svg"),
    device: Annotated[Device, typer.Option(help="The device to draw.")] = "cpu",
) -> None:
    """Draw the share of the ceiling of each loss on the machine that was measured last."""
    rows = newest(gather(results), device)
    if rows.empty:
        raise typer.BadParameter(f"{results} has no correct result on {device}", param_hint="--device")
    picture = overview(rows, legend=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "README"}):
        picture.savefig(out, facecolor="white", metadata={"Date": None} if out.suffix == ".svg" else None, dpi=200)
    typer.echo(str(out))


def newest(material: Material, device: str) -> pd.DataFrame:
    """The correct rows of each loss's headline case, from the setup that was measured last on this device."""
    for setup in material.setups:
        found = [shares(one) for one in answers(material.of_setup(setup)) if one.case["device"] == device]
        if any(map(len, found)):
            rows = pd.concat(found)
            order = rows["loss"].map(material.loss_names.index)
            return rows.loc[order.sort_values(kind="stable").index]
    return material.rows.iloc[:0]
