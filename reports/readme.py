"""`python -m reports readme`: the results in README, made again from what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from reports import wording
from reports.material import Material, gather
from reports.pages import gate, loading_selftest
from reports.ranking import CASE, rankable

START = "<!-- results: written by `python -m reports readme` from results/ -->"
END = "<!-- end of results -->"
IMPLEMENTATIONS = ("native", "torch", "compiled")
HEADINGS = (
    *("loss", "shape", "dtype", "mode", *IMPLEMENTATIONS),
    *("native of ceiling", "native error", "torch error"),
)


def readme(
    results: Annotated[Path, typer.Option(help="asv's results folder, with our side-cars.")] = Path("results"),
    out: Annotated[Path, typer.Option(help="The file that holds the two markers.")] = Path("README.md"),
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Write the table of the newest measurements between README's markers."""
    text = out.read_text()
    if START not in text or END not in text:
        raise typer.BadParameter(f"{out} lacks the markers {START!r} and {END!r}", param_hint="--out")
    before, after = text.split(START)[0], text.split(END)[1]
    material = gather(results)
    written = section(material, device) + "".join(f"\n{one}\n" for one in self_tests(material))
    out.write_text(before + START + "\n\n" + written + "\n" + END + after)
    typer.echo(str(out))


def section(material: Material, device: str) -> str:
    """Where it was measured, the table, and what its columns mean."""
    for setup in material.setups:
        rows = material.of_setup(setup)
        rows = rows[rows["device"] == device]
        if not rows.empty:
            return "\n".join((f"Measured on {setup[0]}, {setup[1]}, {device}.", "", *table(rows), "", NOTE, ""))
    return f"Nothing was measured on {device} yet: `make report` does it.\n"


def self_tests(material: Material) -> Iterator[str]:
    """What the gate and the search for loader settings reach on each machine that measured them."""
    for machine, record in material.results.selftests.items():
        yield f"The gate on {machine} (`python -m reports gate --self-test`): {gate.reading(record)}"
        yield "\n".join(planted(record))
    for machine, record in material.results.loader_tests.items():
        yield f"The loaders on {machine} (`python -m reports loaders`): {loading_selftest.reading(record)}"


def planted(record: Mapping[str, Any]) -> list[str]:
    """Markdown lines: a planted slowdown a line, with the rows where it was found."""
    rows = [[one["planted"], one["rows"], one["found"], one["median_pairs"]] for one in record.get("detection") or []]
    head = ["| planted | rows | found | median pairs |", "|---|---|---|---|"]
    return [*head, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]


NOTE = (
    "Times are medians of a call, a dash where the implementation does not exist or was not measured. The ceiling is "
    "the bandwidth of a copy (step) or a read (forward) in the same process, of the cache level that the case fits in. "
    "The error is the largest relative error of value or gradient against the float64 oracle. A step allocates a fresh "
    "gradient: at 64 MiB its page faults can cost more than the loss, and vary with the state of the machine's memory."
)


def table(rows: pd.DataFrame) -> list[str]:
    """Markdown lines: one case a line, in the order of the catalogue."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for _, case in rows.groupby(CASE, sort=False):
        by_name = {str(row["implementation"]): row for _, row in case[rankable(case)].iterrows()}
        if "native" in by_name:
            lines.append("| " + " | ".join(line(by_name)) + " |")
    return lines


def line(by_name: dict[str, pd.Series]) -> list[str]:
    """The cells of one case."""
    native = by_name["native"]
    times = [wording.seconds(by_name[name]["value"]) if name in by_name else "-" for name in IMPLEMENTATIONS]
    errors = [error(by_name[name]) if name in by_name else "-" for name in ("native", "torch")]
    case = [str(native["loss"]), str(native["shape"]), str(native["dtype"]), str(native["mode"])]
    return [*case, *times, wording.percent(native["share"]), *errors]


def error(row: pd.Series) -> str:
    """The larger of the relative errors of value and gradient."""
    return f"{max(row['value_max_rel'], row['grad_max_rel'] if wording.known(row['grad_max_rel']) else 0.0):.1e}"
