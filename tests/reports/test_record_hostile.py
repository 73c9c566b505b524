"""A hostile record: each bad input is named with its place and skipped, and everything else is read and shown."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import synthetic_results
from reading import read
from synthetic_results import COMMITS, ENV, MACHINE

from reports.record import lists
from reports.site.build import build
from reports.site.material import gather

STEM = f"{COMMITS[-1][:8]}-{ENV}"
ROWS = 168  # of the untouched record: two commits of 84 rows


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Path:
    """A copy of the results that a test may break."""
    return Path(shutil.copytree(results, tmp_path / "results"))


def rows_file(folder: Path) -> Path:
    return folder / MACHINE / f"{STEM}.rows.jsonl"


def append(folder: Path, kind: str, line: dict[str, Any]) -> None:
    with (folder / MACHINE / f"{STEM}.{kind}.jsonl").open("a") as file:
        file.write((line.raw if isinstance(line, Text) else json.dumps(line)) + "\n")


def row(folder: Path, **changes: Any) -> dict[str, Any]:
    """A row of a loss as the record holds it, of another session, changed."""
    first = json.loads(rows_file(folder).read_text().splitlines()[0])
    return {**first, "session": "other", **changes}


def rounds(folder: Path, **changes: Any) -> list[dict[str, Any]]:
    """The rounds of a row, the last of them changed."""
    found = [dict(one) for one in row(folder, status="ok")["rounds"]]
    return [*found[:-1], found[-1] | changes]


def named(folder: Path, name: str) -> dict[str, Any]:
    """A row whose name says the same as its fields, of an implementation that is called `name`."""
    first = row(folder)
    return {**first, "implementation": name, "params": [repr(name), *first["params"][1:]]}


def shaped(folder: Path, shape: str) -> dict[str, Any]:
    first = row(folder)
    return {**first, "shape": shape, "params": [first["params"][0], repr(shape), *first["params"][2:]]}


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"a": found}
    return found


class Text(dict[str, Any]):
    """A line whose field is written as a text that no JSON library writes."""

    def replacing(self, name: str, text: str) -> Text:
        self.raw = re.sub(rf'"{name}": [^,]+', f'"{name}": {text}', json.dumps(self), count=1)
        return self


LINES: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "NaN where a number is needed": (lambda at: row(at, traffic=float("nan")), "'traffic' is nan"),
    "an infinite ceiling": (lambda at: row(at, rounds=rounds(at, ceiling=float("inf"))), "'ceiling' is inf"),
    "a NaN sample": (lambda at: row(at, samples=[1.0, float("nan")]), "'samples' is"),
    "a NaN time": (lambda at: row(at, rounds=rounds(at, seconds=float("nan"))), "'seconds' is nan"),
    "a negative error": (lambda at: row(at, agreement={"value_ulp": -1.0}), "'value_ulp' is -1.0"),
    "a status of tomorrow": (lambda at: row(at, status="marvellous"), "'status' is 'marvellous', expected status"),
    "an implementation of HTML": (lambda at: named(at, "<script>alert(1)</script>"), "expected name"),
    "an implementation that its name contradicts": (lambda at: row(at, implementation="other"), "says otherwise"),
    "a loss that its name contradicts": (lambda at: row(at, loss="other_loss"), "says otherwise"),
    "a shape of words": (lambda at: shaped(at, "large"), "'shape' is 'large', expected shape"),
    "a shape of a thousand sizes": (lambda at: shaped(at, "x".join(["2"] * 1000)), "expected shape"),
    "a format of tomorrow": (lambda at: row(at, format=3), "format 3 is unknown; known are 1 to 2"),
    "a date of tomorrow": (lambda at: row(at, started_at="2999-01-01T00:00:00Z"), "is in the future"),
    "a date before computers": (lambda at: row(at, started_at="1903-01-01T00:00:00Z"), "is before 2010"),
    "a measurement before its commit": (lambda at: row(at, started_at=1_600_000_000), "a clock was wrong"),
    "a round before the one that precedes it": (
        lambda at: row(at, rounds=[{**one, "started_at": 1_700_100_000 - 9_000 * one["number"]} for one in rounds(at)]),
        "the clock went backwards",
    ),
    "a number of 5,000 digits": (lambda at: Text(row(at)).replacing("traffic", "1" + "0" * 5000), "not JSON"),
    "half a character": (lambda at: row(at, reason="\ud800"), "not UTF-8 text"),
    "half a character, deep inside": (lambda at: row(at, options={"a": ["\ud800"]}), "not UTF-8 text"),
    "options that are nested 900 deep": (lambda at: row(at, options=nested(900)), "nested too deeply"),
    "a time of words": (lambda at: row(at, started_at="now"), "started_at 'now' is not a time"),
    "a time beyond all calendars": (lambda at: row(at, started_at=float("inf")), "is not a time"),
    "a field twice": (lambda at: Text(row(at)).replacing("session", '"a", "session": "b"'), "'session' twice"),
    "a number as text": (lambda at: row(at, traffic="4e6"), "'traffic' is '4e6'"),
    "a time that is no time at all": (lambda at: row(at, rounds=rounds(at, seconds=0)), "'seconds' is 0"),
    "a status of two": (lambda at: row(at, status=["ok", "wrong"]), "'status' is ['ok', 'wrong'], expected status"),
    "a round twice": (lambda at: row(at, rounds=rounds(at, number=1)), "two rounds have the same number"),
}


@pytest.mark.parametrize("what", LINES)
def test_a_hostile_row_is_named_and_skipped(copy: Path, what: str) -> None:
    """Its problem has file, line and field; no other row is lost."""
    make, said = LINES[what]
    append(copy, "rows", make(copy))
    found = read(copy)
    assert len(found.rows) == ROWS
    (problem,) = found.problems
    assert problem.place == f"{MACHINE}/{STEM}.rows.jsonl line 85"
    assert said in problem.what


@pytest.mark.parametrize("kind", ["rows", "sessions"])
def test_the_second_of_two_lines_of_one_row_or_session_is_read(copy: Path, kind: str) -> None:
    """The first is named."""
    path = copy / MACHINE / f"{STEM}.{kind}.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[0]]))
    found = read(copy)
    assert (len(found.rows), len(found.sessions)) == (ROWS, 2)
    assert [problem.place for problem in found.problems] == [f"{MACHINE}/{STEM}.{kind}.jsonl line 1"]
    assert f"as line {len(lines) + 1}" in found.problems[0].what


def test_a_field_of_tomorrow_is_named_once_per_file(copy: Path) -> None:
    """Its rows are read: what is known of them is as before."""
    lines = [json.dumps(json.loads(line) | {"energy": 3}) for line in rows_file(copy).read_text().splitlines()]
    rows_file(copy).write_text("\n".join(lines))
    found = read(copy)
    assert len(found.rows) == ROWS
    assert [problem.what for problem in found.problems] == [
        "field 'energy' is unknown to this version; it is kept and not shown"
    ]


def bomb(path: Path) -> None:
    """1 GiB of zeros in 1 MiB."""
    with gzip.open(path, "wb") as file:
        for _ in range(1024):
            file.write(bytes(2**20))


def half_of_zstd(path: Path) -> None:
    import pyarrow as pa

    path.with_suffix("").unlink()
    lines = [{"kind": "measurement", "dataset": f"d{number}", "reason": str(number)} for number in range(100_000)]
    text = "".join(json.dumps(one) + "\n" for one in lines).encode()
    whole = pa.Codec("zstd").compress(text, asbytes=True)
    path.write_bytes(whole[: len(whole) // 2])


FILES: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "empty": (f"{STEM}.json", lambda path: path.write_bytes(b""), "not JSON"),
    "binary": (f"{STEM}.json", lambda path: path.write_bytes(b"\xff\xfe\x00"), "not UTF-8 text"),
    "deep": (f"{STEM}.json", lambda path: path.write_text('{"a":' * 100_000), "nested too deeply"),
    "a list": (f"{STEM}.json", lambda path: path.write_text("[]"), "is list, expected a JSON object"),
    "gigantic": (f"{STEM}.json", lambda path: os.truncate(path, 2**33), "is larger than 32 MiB"),
    "a version of tomorrow": (
        f"{STEM}.json",
        lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 3})),
        "format version 3",
    ),
    "a date of tomorrow": (
        f"{STEM}.json",
        lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"date": 10**14})),
        "is in the future",
    ),
    "a link": (f"{STEM}.rows.jsonl", lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), "symbolic link"),
    "a pipe": (f"{STEM}.rows.jsonl", lambda path: (path.unlink(), os.mkfifo(path)), "is no regular file"),
    "gzip bomb": (f"{STEM}.conformance.jsonl.gz", bomb, "is larger than 64 MiB, unpacked"),
    "a kind of tomorrow": (f"{STEM}.energy.jsonl", lambda path: path.write_text("{}"), "'energy' is unknown"),
    "a self-test of the gate": (
        "gate-selftest.json",
        lambda path: path.write_text('{"detection": 3}'),
        "'detection' is 3",
    ),
    "half a self-test of the gate": (
        "gate-selftest.json",
        lambda path: path.write_text('{"verdicts_on_identical_code": [{"rows": 3}]}'),
        "'verdict' is missing",
    ),
    "a self-test of the loaders": (
        "loaders-selftest.json",
        lambda path: path.write_text('{"search": [{"dataset": "x"}]}'),
        "search 1: 'share_of_time' is missing",
    ),
    "a self-test of sessions": (
        "sweep-selftest.json",
        lambda path: path.write_text('{"between_share": "half"}'),
        "'between_share' is 'half'",
    ),
    "replayed rows": (
        "replay.json",
        lambda path: path.write_text(
            '{"machine": "m", "sampled": 1, "rows": [{"id": "0123", "title": "x", "verdict": "true"}]}'
        ),
        "rows 1: 'verdict' is 'true'",
    ),
    "zstd that ends early": (f"{STEM}.loaders.jsonl.zst", half_of_zstd, "Truncated compressed stream"),
    "a folder": (f"{STEM}.rows.jsonl", lambda path: (path.unlink(), path.mkdir()), "cannot be read: Is a directory"),
    "a second packing": (
        f"{STEM}.rows.jsonl.gz",
        lambda path: path.write_bytes(gzip.compress(path.with_suffix("").read_bytes())),
        "is read instead",
    ),
    "a machine's facts": ("machine.json", lambda path: path.write_text('{"num_cpu": [2]}'), "'num_cpu' is [2]"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_hostile_file_is_named_and_skipped(copy: Path, what: str) -> None:
    """The other commit is read completely, in bounded memory."""
    name, break_it, said = FILES[what]
    break_it(copy / MACHINE / name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read(copy)
    assert [problem.place for problem in found.problems][:1] == [f"{MACHINE}/{name}"]
    assert said in found.problems[0].what
    assert (found.rows["commit"] == "aaaaaaaa").sum() == ROWS / 2
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 500_000  # KiB; a bomb of 1 GiB took more than twice that


def test_a_machine_named_like_a_page_is_skipped(copy: Path) -> None:
    """HTML, a link and control characters are no machines."""
    for name in ("<b>x<", "a b", "x\ny"):
        (copy / name).mkdir()
    (copy / "linked").symlink_to(copy / MACHINE)
    found = read(copy)
    assert len(found.rows) == ROWS
    assert sorted(problem.place for problem in found.problems) == ["<b>x<", "a b", "linked", "x\ny"]


def test_a_machine_of_200_is_like_the_first(results: Path, tmp_path: Path) -> None:
    """All are read, none into another's rows."""
    for number in range(200):
        folder = tmp_path / "results" / f"machine-{number}"
        folder.mkdir(parents=True)
        shutil.copy(results / MACHINE / f"{STEM}.rows.jsonl", folder)
    counts = read(tmp_path / "results").rows["machine"].value_counts()
    assert (len(counts), set(counts)) == (200, {ROWS // 2})


@pytest.mark.usefixtures("undrawn")
def test_a_site_is_built_from_a_hostile_record(copy: Path, tmp_path: Path) -> None:
    """Every bad line and file at once: each has a line on the page of data problems, and no markup is live."""
    for make, _ in LINES.values():
        append(copy, "rows", make(copy))
    for name in ("gate-selftest.json", "loaders-selftest.json", "sweep-selftest.json"):
        (copy / MACHINE / name).write_text('{"search": 3, "detection": 3, "coverage": 3}')
    (copy / "<script>alert(1)<").mkdir()
    material = gather(copy, synthetic_results.losses())
    folder = build(material, tmp_path / "site").parent
    page = (folder / "data-problems.html").read_text()
    for _, said in LINES.values():
        assert said.replace("'", "&#39;") in page
    assert "<script>alert" not in "".join(path.read_text() for path in folder.glob("*.html"))
    assert len(material.results.problems) == len(LINES) + 4


@pytest.mark.usefixtures("undrawn")
def test_a_broken_line_of_a_list_in_docs_is_named(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutant without a loss, a way of calling with a negative count, and no JSON at all: the site is built."""
    for name in ("MUTANTS", "WAYS"):
        whole = getattr(lists, name)
        broken = tmp_path / whole.name
        first = json.loads(whole.read_text().splitlines()[0])
        wrong = {"MUTANTS": first | {"loss": None}, "WAYS": first | {"failed": -1}}[name]
        broken.write_text(f"{json.dumps(first)}\n{json.dumps(wrong)}\n{{\n")
        monkeypatch.setattr(lists, name, broken)
    material = gather(results, synthetic_results.losses())
    page = (build(material, tmp_path / "site").parent / "data-problems.html").read_text()
    assert (len(material.mutants), len(material.ways)) == (1, 1)
    for place in ("docs/mutants.jsonl line 2", "docs/mutants.jsonl line 3", "docs/ways.jsonl line 2"):
        assert place in page


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("shape", ["0x10", "999999999999999x999999999999999", "1"])
def test_an_odd_shape_draws(copy: Path, tmp_path: Path, shape: str) -> None:
    """A row of an empty or an impossible size is shown, and the figures of all others with it."""
    append(copy, "rows", shaped(copy, shape) | {"session": "session1", "status": "ok"})
    assert build(gather(copy, synthetic_results.losses()), tmp_path / "site").exists()
