"""`python -m reports readme`: the results in README, made again from what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lossimpl import wording
from reports.site.material import Material, gather
from reports.site.pages import gate, loading_selftest
from reports.statistics.answers import worst_error
from reports.statistics.comparison import RIVALS, Contest, Score, contests, scores, slower_words

START = "<!-- results: written by `python -m reports readme` from results/ -->"
END = "<!-- end of results -->"
HEADINGS = (
    *("loss", "shape", "dtype", "mode", "native", *RIVALS),
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
            return "\n".join(parts(f"Measured on {setup[0]}, {setup[1]}, {device}.", contests(rows)))
    return f"Nothing was measured on {device} yet: `make report` does it.\n"


def parts(where: str, cases: list[Contest]) -> Iterator[str]:
    """The lines of the section: the short of it, and every case to be opened."""
    yield from (where, "", *in_short(cases), "", NOTE, "")
    yield from (f"<details><summary>All {len(cases)} cases</summary>", "", *table(cases), "", "</details>", "")


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
    "the bandwidth of a copy (with gradients) or a read (forward) in the same process, of the cache level that the "
    "case fits in. The error is the largest relative error of value or gradient against the float64 oracle. In mode "
    "`step` torch and torch.compile write a fresh gradient in every call, whose page faults cost more than most "
    "losses; native keeps the memory of freed gradients. `compiled` is torch.compile of our vectorized form, which "
    "keeps digits that others lose; `torch-compiled` is torch.compile of torch's own function, or of the textbook's "
    "formula where torch has none, measured at the largest shapes. In mode `reuse` malloc "
    "keeps all that is freed, for every implementation."
)


def in_short(cases: list[Contest]) -> Iterator[str]:
    """Markdown lines: what native gains at the largest shape of every loss, by dtype and mode, and where it loses."""
    yield "| largest shapes | torch takes | compiled takes | torch-compiled takes | native's share of the ceiling |"
    yield "|---|---|---|---|---|"
    for one in scores(cases):
        yield "| " + " | ".join((f"{one.dtype}, {one.mode}", *map(one.gain, RIVALS), share(one))) + " |"
    yield ""
    yield f"{slower_words(cases)}."
    yield from (f"- {one.label}" for one in cases if one.slower)


def share(score: Score) -> str:
    """The least, with its loss, and the median."""
    if not score.shares:
        return "-"
    return f"median {wording.percent(score.middle)}, least {wording.percent(score.shares[0])} ({score.least})"


def table(cases: list[Contest]) -> list[str]:
    """Markdown lines: one case a line, in the order of the catalogue."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    return lines + ["| " + " | ".join(line(one)) + " |" for one in cases]


def line(one: Contest) -> list[str]:
    """The cells of one case."""
    native = one.native
    by_name = {"native": native, **one.rivals}
    times = [wording.seconds(by_name[name]["value"]) if name in by_name else "-" for name in ("native", *RIVALS)]
    errors = [f"{worst_error(by_name[name]):.1e}" if name in by_name else "-" for name in ("native", "torch")]
    case = [str(native[name]) for name in ("loss", "shape", "dtype", "mode")]
    return [*case, *times, wording.percent(native["share"]), *errors]
