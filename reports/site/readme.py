"""`python -m reports readme`: the results in README, and all cases in docs/results.md, written from stored results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lossimpl import wording
from lossimpl.spec import Device
from reports.site.material import Material, gather
from reports.site.pages import gate, loading_selftest
from reports.statistics.answers import worst_error
from reports.statistics.comparison import ALTERNATIVES, Comparison, Means, comparisons, means, slower_words

START = "<!-- results: written by `python -m reports readme` from results/ -->"
END = "<!-- end of results -->"
TAKES = tuple(f"{name} takes" for name in ALTERNATIVES)
SUMMARY = ("largest shapes", *TAKES, "native's share of the ceiling")
CASES = ("loss", "shape", "dtype", "mode", "native", *ALTERNATIVES, "native of ceiling", "native error", "torch error")
PLANTED = ("planted", "rows", "found", "median_pairs")
NOTE = (
    "Times are medians per call; a dash means that the implementation does not exist or was not measured. The ceiling "
    "is the bandwidth of a copy (with gradients) or a read (forward) in the same process, in the cache level that the "
    "case fits into. The error is the largest relative error of value or gradient against the float64 reference. In "
    "mode `step`, torch and torch.compile write a fresh gradient in every call, whose page faults cost more than most "
    "losses; native reuses the memory of freed gradients. In mode `reuse`, malloc keeps freed memory for every "
    "implementation. `compiled` is torch.compile of our vectorized form, which keeps digits that others lose; "
    "`torch-compiled` is torch.compile of torch's own function, or of the textbook formula where torch has none, "
    "measured at the largest shapes."
)


def readme(
    results: Annotated[Path, typer.Option(help="asv's results folder, with our side-cars.")] = Path("results"),
    out: Annotated[Path, typer.Option(help="The file with the two markers.")] = Path("README.md"),
    cases: Annotated[Path, typer.Option(help="The file of all cases.")] = Path("docs/results.md"),
    device: Annotated[Device, typer.Option(help="The device whose results to write.")] = "cpu",
) -> None:
    """Write the newest results between README's markers, and every case to a file of its own."""
    text = out.read_text()
    if START not in text or END not in text:
        raise typer.BadParameter(f"{out} lacks the markers {START!r} and {END!r}", param_hint="--out")
    before, after = text.split(START)[0], text.split(END)[1]
    material = gather(results)
    where, compared = newest(material, device)
    written = [*summary(where, compared), *self_tests(material)]
    out.write_text(before + START + "\n\n" + "\n\n".join(written) + "\n\n" + END + after)
    cases.write_text("\n\n".join(all_cases(where, compared)) + "\n")
    typer.echo(f"{out}, {cases}")


def newest(material: Material, device: str) -> tuple[str, list[Comparison]]:
    """Where the newest results of a device come from, and its cases."""
    for setup in material.setups:
        rows = material.of_setup(setup)
        rows = rows[rows["device"] == device]
        if not rows.empty:
            return f"Measured on {setup[0]}, {setup[1]}, {device}.", comparisons(rows)
    return f"Nothing has been measured on {device} yet; `make report` does it.", []


def summary(where: str, cases: list[Comparison]) -> Iterator[str]:
    """The paragraphs of README: where, the largest shapes, and where native is not the fastest."""
    yield where
    if not cases:
        return
    yield "\n".join(table(SUMMARY, map(summary_line, means(cases))))
    slower = [f"- {one.label}" for one in cases if one.slower]
    yield "\n".join(
        (f"{slower_words(cases)}. [All {len(cases)} cases](docs/results.md), with what is measured.", *slower)
    )


def all_cases(where: str, cases: list[Comparison]) -> Iterator[str]:
    """The paragraphs of the file of all cases."""
    yield "# Results"
    yield f"Written by `python -m reports readme` from `results/`. {where}"
    if cases:
        yield NOTE
        yield "\n".join(table(CASES, map(case_line, cases)))


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """The lines of a Markdown table.

    >>> list(table(("a", "b"), [(1, 2)]))
    ['| a | b |', '|---|---|', '| 1 | 2 |']
    """
    names = list(headings)
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    yield from (f"| {' | '.join(map(str, row))} |" for row in rows)


def summary_line(one: Means) -> list[str]:
    """The cells of one dtype and mode."""
    return [f"{one.dtype}, {one.mode}", *map(one.words, ALTERNATIVES), share(one)]


def share(one: Means) -> str:
    """Native's median share of the ceiling, and the smallest with its loss."""
    if not one.shares:
        return wording.NOTHING
    least = f"least {wording.percent(one.shares[0])} ({one.least})"
    return f"median {wording.percent(one.median_share)}, {least}"


def case_line(one: Comparison) -> list[str]:
    """The cells of one case."""
    native = one.native
    by_name = {"native": native, **one.alternatives}
    times = [wording.seconds(by_name[name]["value"]) if name in by_name else "–" for name in ("native", *ALTERNATIVES)]
    errors = [wording.error(worst_error(by_name[name])) if name in by_name else "–" for name in ("native", "torch")]
    case = [str(native[name]) for name in ("loss", "shape", "dtype", "mode")]
    return [*case, *times, wording.percent(native["share"]), *errors]


def self_tests(material: Material) -> Iterator[str]:
    """The results of the self-tests of the gate and the loader search, per machine that ran them."""
    for machine, record in material.results.selftests.items():
        yield f"The gate on {machine} (`python -m reports gate --self-test`): {gate.reading(record)}"
        yield "\n".join(planted(record))
    for machine, record in material.results.loader_tests.items():
        yield f"The loaders on {machine} (`python -m reports loaders`): {loading_selftest.reading(record)}"


def planted(record: Mapping[str, Any]) -> Iterator[str]:
    """A Markdown table of the planted slowdowns and how many of them were found."""
    headings = (name.replace("_", " ") for name in PLANTED)
    return table(headings, ([one[name] for name in PLANTED] for one in record.get("detection") or []))
