"""How far a session's intervals can be trusted: what `python -m reports sweep --self-test` found on each machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lossimpl import wording
from lossimpl.ranking import CONFIDENCE
from reports.site.material import Material
from reports.site.view import Cell, Page, Table

Record = Mapping[str, Any]
COVERAGE = (
    ("Quantity", ""),
    ("Covered", f"rows whose {wording.INTERVAL} holds the next session's estimate"),
    ("Rows", "compared, over all pairs of consecutive sessions"),
    ("Coverage", f"a {wording.INTERVAL} promises {wording.percent(CONFIDENCE)}"),
    ("Smallest difference", "that one session can publish: 5 % of unchanged rows differ by more from the next session"),
)
REPLAYED = (
    ("Row", "loss, implementation, shape, dtype, device, mode, status"),
    ("Verdict", "by equivalence, at 95 %"),
    ("Id", "`lossimpl replay ID` measures it again"),
    ("What was found", ""),
)
QUANTITIES = {"ratio": "ratio of two implementations", "share": "share of the ceiling", "time": "time per call"}


def pages(material: Material) -> list[Page]:
    tests = material.results.sweep_tests
    values = {
        "machines": [
            {"name": name, "sessions": _sessions(one), "words": list(words(one)), "coverage": _coverage(one)}
            for name, one in tests.items()
        ],
        "replayed": [
            {"name": name, "words": list(replayed_words(one)), "rows": _replayed(one)}
            for name, one in material.results.replayed.items()
        ],
    }
    return [Page("reproducibility.html", "Do these numbers hold?", "reproducibility.html", values)]


def replayed_words(record: Record) -> Iterator[str]:
    """How many stored numbers were reproduced, with the interval, and how they were drawn.

    >>> for sentence in replayed_words({"measured_at": "2026-11-28T20:00:00+00:00", "sampled": 3, "comparable": 90,
    ...     "revision": "0123456789ab", "rounds": 20, "altered": 0, "rows": [{"verdict": "reproduced"}] * 3}):
    ...     print(sentence)
    Reproduced: 3 of 3 decided rows, 100 % (29 to 100 %); inconclusive: 0; not comparable: 0; altered: 0.
    3 of 90 rows were drawn at random on 2026-11-28 and measured again by commit 01234567, in 20 rounds each.
    """
    verdicts = Counter(str(one["verdict"]) for one in record["rows"])
    yield f"{wording.reproduced(verdicts, record.get('altered') or 0)}.".capitalize()
    revision = str(record.get("revision") or "")
    code = f"commit {revision[:8]}" if revision else "its own commit"
    drawn = f"{record['sampled']} of {record.get('comparable', 'all')} rows were drawn at random"
    rounds = f", in {record['rounds']} rounds each" if wording.known(record.get("rounds")) else ""
    yield f"{drawn} on {str(record.get('measured_at'))[:10]} and measured again by {code}{rounds}."


def _replayed(record: Record) -> Table:
    """Every row that was measured again, those that are not reproduced first."""
    order = ("not reproduced", "inconclusive", "not comparable", "reproduced")
    rows = sorted(record["rows"], key=lambda one: order.index(one["verdict"]))
    cells = [
        [Cell(one["title"]), Cell(one["verdict"]), Cell(one["id"]), Cell("; ".join(one.get("lines") or []))]
        for one in rows
    ]
    return Table(f"{len(rows)} rows measured again", REPLAYED, cells)


def _sessions(record: Record) -> list[str]:
    found = record.get("sessions")
    return list(map(str, found)) if isinstance(found, list) else []


def _coverage(record: Record) -> Table | None:
    rows = [[Cell(cell) for cell in line] for line in coverage(record)]
    return Table(f"How often a {wording.INTERVAL} held the next session's estimate", COVERAGE, rows) if rows else None


def coverage(record: Record) -> Iterator[list[str]]:
    """The cells of each quantity: its name, rows covered, rows compared, their share, the smallest difference.

    >>> list(coverage({"coverage": {"ratio": {"rows": 200, "covered": 192}}, "smallest_difference": {"ratio": 0.06}}))
    [['ratio of two implementations', '192', '200', '96 %', '6 %']]
    """
    found, smallest = (_part(record, name) for name in ("coverage", "smallest_difference"))
    for name, words in QUANTITIES.items():
        one = found.get(name)
        if isinstance(one, Mapping) and wording.known(one.get("rows")) and wording.known(one.get("covered")):
            share = one["covered"] / one["rows"] if one["rows"] else None
            counts = (wording.count(one["covered"]), wording.count(one["rows"]))
            yield [words, *counts, wording.percent(share), wording.percent(smallest.get(name))]


def _part(record: Record, name: str) -> Record:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def coverage_words(record: Record) -> str:
    """The coverage of ratios in one sentence, empty if it was not measured.

    >>> coverage_words({"sessions": ["a", "b", "c"], "coverage": {"ratio": {"rows": 200, "covered": 192}}})
    'Over 3 sessions on this machine, 96 % of 200 intervals of ratios held the next session’s estimate.'
    """
    lines = {line[0]: line for line in coverage(record)}
    if QUANTITIES["ratio"] not in lines:
        return ""
    _, _, rows, share, _ = lines[QUANTITIES["ratio"]]
    sessions = f"Over {len(found)} sessions on" if (found := _sessions(record)) else "On"
    return f"{sessions} this machine, {share} of {rows} intervals of ratios held the next session’s estimate."


def words(record: Record) -> Iterator[str]:
    """What else the self-test found, a sentence each; what the record lacks is left out.

    >>> list(words({"between_share": 0.4}))
    ['40 % of the variance of a time lies between sessions, the rest between the rounds of one.']
    """
    if wording.known(record.get("rounds")) and wording.known(record.get("recommended_rounds")):
        yield (
            f"A session had {record['rounds']:.0f} rounds; {record['recommended_rounds']:.0f} would give half of the "
            "ratios an interval of at most 5 % to each side."
        )
    if wording.known(record.get("between_share")):
        share = wording.percent(record["between_share"])
        yield f"{share} of the variance of a time lies between sessions, the rest between the rounds of one."
    if wording.known(record.get("drift")):
        yield f"From session to session, the median time changed by up to {wording.percent(abs(record['drift']))}."
    same = _part(record, "identical_series")
    if wording.known(same.get("rows")) and wording.known(same.get("flagged")):
        flagged = f"{same['flagged']:.0f} of {same['rows']:.0f}"
        yield (
            "torch’s own code did not change between the sessions: the intervals of two sessions are disjoint in "
            f"{flagged} comparisons of its share of the ceiling."
        )
