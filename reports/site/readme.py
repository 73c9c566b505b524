"""`python -m reports readme`: README's results and claims, and docs/results.md and docs/compatibility.md, as stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lossimpl import wording
from lossimpl.spec import Device
from reports.site.conditions import of_session
from reports.site.material import Material, gather
from reports.site.pages import claims, compatibility, gate, loading_selftest, reproducibility
from reports.site.pages.native import ordered
from reports.statistics.answers import worst_error
from reports.statistics.comparison import (
    ALTERNATIVES,
    Comparison,
    Means,
    comparisons,
    count_words,
    means,
    why_unranked,
)
from reports.statistics.ranking import Row

START = "<!-- results: written by `python -m reports readme` from results/ -->"
END = "<!-- end of results -->"
CLAIMS_START = "<!-- claims: written by `python -m reports readme` from docs/claims.jsonl -->"
CLAIMS_END = "<!-- end of claims -->"
SUMMARY = (
    "largest shapes", "losses", "best alternative takes", *(f"{name} takes" for name in ALTERNATIVES),
    "native's share of the ceiling",
)  # fmt: skip
CASES = (
    "loss", "shape", "dtype", "mode", "native", "verdict", *ALTERNATIVES, "native of ceiling", "native error",
    "eager error",
)  # fmt: skip
OLD_CASES = (
    "loss",
    "shape",
    "dtype",
    "mode",
    "native",
    *ALTERNATIVES,
    "native of ceiling",
    "native error",
    "eager error",
)
COVERAGE = ("intervals of", "held the next session's estimate", "rows", "coverage", "smallest difference")
PLANTED = ("planted", "rows", "found", "median_pairs")
NOTE = (
    "Times are geometric means over the rounds of the session, each a fresh process that times all implementations of "
    "the case. The other columns are an implementation's time over native's, paired within rounds, with its "
    f"{wording.INTERVAL}: what another session of as many rounds measures here. A dash means that the implementation "
    "does not exist or was not measured. The ceiling is the bandwidth of a copy (with gradients) or a read (forward) "
    "in the same round, in the cache level that the case fits into. The error is the largest relative error of value "
    "or gradient against the float64 reference. In mode `reuse`, malloc keeps freed memory for every implementation. "
    "In mode `step`, as people run it, `eager` and torch.compile write a fresh gradient in every call, whose page "
    "faults cost more than most losses; native reuses the memory of freed gradients. `eager` is torch's own function, "
    "or our vectorized form where torch has none; `compiled` is torch.compile of our vectorized form, which keeps "
    "digits that others lose; `torch-compiled` is torch.compile of torch's own function, or of the textbook formula "
    "where torch has none."
)

OLD_NOTE = (
    "Every row was measured by the old protocol, in one process of its own: its time is the median of that process, "
    "and nothing is known of how much it differs between runs. So nothing is ranked or divided by anything else; "
    "`make report GRID=table` measures in rounds."
)


def readme(
    results: Annotated[Path, typer.Option(help="asv's results folder, with our side-cars.")] = Path("results"),
    out: Annotated[Path, typer.Option(help="The file with the two markers.")] = Path("README.md"),
    cases: Annotated[Path, typer.Option(help="The file of all cases.")] = Path("docs/results.md"),
    ways: Annotated[Path, typer.Option(help="The file of the ways of calling.")] = Path("docs/compatibility.md"),
    device: Annotated[Device, typer.Option(help="The device whose results to write.")] = "cpu",
) -> None:
    """Write the newest results between README's markers, every case and the ways of calling to files of their own."""
    text = out.read_text()
    if START not in text or END not in text:
        raise typer.BadParameter(f"{out} lacks the markers {START!r} and {END!r}", param_hint="--out")
    material = gather(results)
    where, compared = newest(material, device)
    written = [*summary(where, compared), *self_tests(material)]
    text = replaced(text, START, END, written)
    out.write_text(replaced(text, CLAIMS_START, CLAIMS_END, claims.markdown(material.claims)))
    cases.write_text("\n\n".join(all_cases(where, compared)) + "\n")
    ways.write_text("\n\n".join(compatibility.markdown(material.ways)) + "\n")
    typer.echo(f"{out}, {cases}, {ways}")


def replaced(text: str, start: str, end: str, paragraphs: Iterable[str]) -> str:
    """The text with these paragraphs between two markers; unchanged where it lacks the markers.

    >>> replaced("a <b> old <e> c", "<b>", "<e>", ["new"])
    'a <b>\\n\\nnew\\n\\n<e> c'
    """
    if start not in text or end not in text:
        return text
    before, after = text.split(start)[0], text.split(end)[1]
    return before + start + "\n\n" + "\n\n".join(paragraphs) + "\n\n" + end + after


def newest(material: Material, device: str) -> tuple[str, list[Comparison]]:
    """Where the newest table of a device comes from, of a session that says much if there is one; and its cases."""
    for session in sorted(material.tables, key=lambda one: one.preference):
        cases = ordered(comparisons(material.rankings_of(session, device)))
        if cases:
            where = of_session(material, session)
            return f"Measured on {where.machine}, {where.env}, {device}: {where.measured}.", cases
    return f"Nothing has been measured on {device} yet; `make report GRID=table` does it.", []


def of_one_process(cases: Iterable[Comparison]) -> bool:
    """Whether the cases were measured by the old protocol."""
    return any(not one.native["session"] for one in cases)


def summary(where: str, cases: list[Comparison]) -> Iterator[str]:
    """The paragraphs of README: where, how often native is fastest, and the largest shapes."""
    yield where
    if not cases:
        return
    if of_one_process(cases):
        yield f"{OLD_NOTE} [All {len(cases)} cases](docs/results.md)."
        return
    yield f"{count_words(cases)} [All {len(cases)} cases](docs/results.md), with what is measured."
    yield "\n".join(table(SUMMARY, map(summary_line, means(cases))))
    yield (
        "Times over native's, over the losses: the geometric mean (least to most). `reuse` is a step under the same "
        "allocator for all; `step` is as people run it."
    )
    slower = [f"- {one.label}" for one in cases if one.verdict == "slower"]
    if slower:
        yield "\n".join(("Native is slower in:", "", *slower))


def all_cases(where: str, cases: list[Comparison]) -> Iterator[str]:
    """The paragraphs of the file of all cases."""
    yield "# Results"
    yield f"Written by `python -m reports readme` from `results/`. {where}"
    if of_one_process(cases):
        yield OLD_NOTE
        yield "\n".join(table(OLD_CASES, map(old_case_line, cases)))
    elif cases:
        yield count_words(cases)
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


def summary_line(one: Means) -> list[object]:
    """The cells of one dtype and mode."""
    return [f"{one.dtype}, {one.mode}", one.losses, one.words(), *map(one.words, ALTERNATIVES), share(one)]


def share(one: Means) -> str:
    """Native's median share of the ceiling, and the smallest with its loss."""
    if not one.shares:
        return wording.NOTHING
    least = f"least {wording.percent(one.shares[0])} ({one.least})"
    return f"median {wording.percent(one.median_share)}, {least}"


def case_line(one: Comparison) -> list[str]:
    """The cells of one case."""
    verdict = one.verdict if one.alternatives else wording.NOTHING
    time = wording.seconds(one.native["value"])
    return [*identity(one), time, verdict, *(ratio(one, name) for name in ALTERNATIVES), *qualities(one)]


def old_case_line(one: Comparison) -> list[str]:
    """The cells of one case that was measured by the old protocol: times of single processes, and no ratio of them."""
    rows = [one.native, *map(one.alternative, ALTERNATIVES)]
    return [*identity(one), *(time(row) if row else wording.NOTHING for row in rows), *qualities(one)]


def identity(one: Comparison) -> list[str]:
    """The cells that name the case."""
    return [str(one.native[name]) for name in ("loss", "shape", "dtype", "mode")]


def qualities(one: Comparison) -> list[str]:
    """The cells of native's share of the ceiling, and of the errors of native and eager code."""
    errors = [wording.error(worst_error(row)) if row else wording.NOTHING for row in (one.native, one.eager)]
    return [wording.percent(one.native["share"]), *errors]


def time(row: Row) -> str:
    """A row's time, or why there is none that counts."""
    return wording.seconds(row["value"]) if row["status"] == "ok" else str(row["status"])


def ratio(one: Comparison, name: str) -> str:
    """An alternative's time over native's with its interval, or why there is none."""
    row = one.alternative(name)
    if row is None:
        return wording.NOTHING
    claim = one.against(row)
    return wording.times_interval(*claim.ratio) if claim else why_unranked(row)


def self_tests(material: Material) -> Iterator[str]:
    """The results of the self-tests of sessions, gate and loader search, per machine that ran them."""
    for machine, record in material.results.sweep_tests.items():
        yield from sessions_test(machine, record)
    for machine, record in material.results.selftests.items():
        yield f"The gate on {machine} (`python -m reports gate --self-test`): {gate.reading(record)}"
        yield "\n".join(planted(record))
    for machine, record in material.results.loader_tests.items():
        yield f"The loaders on {machine} (`python -m reports loaders`): {loading_selftest.reading(record)}"


def sessions_test(machine: str, record: Mapping[str, Any]) -> Iterator[str]:
    """How often the intervals of a session covered the next one, as a sentence and a table."""
    found = " ".join(reproducibility.words(record))
    yield f"Do these numbers hold on {machine} (`python -m reports sweep --self-test`)? {found}".rstrip()
    lines = list(reproducibility.coverage(record))
    if lines:
        yield "\n".join(table(COVERAGE, lines))


def planted(record: Mapping[str, Any]) -> Iterator[str]:
    """A Markdown table of the planted slowdowns and how many of them were found."""
    headings = (name.replace("_", " ") for name in PLANTED)
    return table(headings, ([one[name] for name in PLANTED] for one in record.get("detection") or []))
