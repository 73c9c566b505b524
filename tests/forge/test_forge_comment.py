"""The gate's report becomes one comment on the right pull request, whatever a fork's job put into it."""

import json
import math
import re
from dataclasses import replace

import pytest
from loopback import BOT, PERSON
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from reports.forge.command import forge
from reports.forge.comment import MARK
from reports.gate.outcome import Change, Covered, Fault, Outcome, RowOutcome

HEAD, BASE, OTHER = "a" * 40, "b" * 40, "c" * 40
PAGE = "https://github.com/lossimpl/lossimpl/actions/runs/7"
PULL = 12
PAYLOADS = (  # what must never come out as markup, by the mark that it would leave
    '<img src=x onerror="alert(1)"><script>alert(1)</script>',
    "[click](https://evil.example/steal)",
    "![x](https://evil.example/pixel.png)",
    "@lossimpl/maintainers please approve",
    "fixes #1 and closes lossimpl/lossimpl#2",
    "`|` ends a cell\n\n# Approved\n",
)


def row(verdict="same", ratio=1.0, **more):
    values = {"p_value": 0.01, "pairs": 20, "detectable": 1.05, "pairs_needed": 20, "decided": "time"}
    params = ("native", "512x32000", "float32", "cpu", "step")
    name = "cross_entropy.CrossEntropy.track_seconds"
    return RowOutcome(name, params, verdict, ratio, ratio * 0.98, ratio * 1.02, **{**values, **more})


def outcome(*rows, **more):
    groups = (Covered("native", "x", len(rows) or 1, "time"),)
    return Outcome(BASE, HEAD, 0.05, 0.01, 900.0, 300.0, rows=rows, groups=groups, **more)


SLOWER = outcome(
    row("slower", 1.21, changes=(Change("peak_bytes", 1000.0, 5000.0, True, "x"),)),
    row("inconclusive", math.nan, decided=""),
)
SAME = outcome(row())


@pytest.fixture
def run(state, tmp_path, monkeypatch):
    """Run the job on a report, as JSON values or bytes; return its exit code and output."""

    def job(report, head=HEAD):
        folder = tmp_path / "gate-report"
        folder.mkdir(exist_ok=True)
        held = report if isinstance(report, bytes) else json.dumps(report).encode()
        if report is not None:
            (folder / "gate.json").write_bytes(held)
        event = {"workflow_run": {"head_sha": head, "html_url": PAGE, "pull_requests": []}}
        (tmp_path / "event.json").write_text(json.dumps(event))
        monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
        done = CliRunner().invoke(forge, ["comment", str(folder)])
        return done.exit_code, done.output

    state.pulls |= {11: OTHER, PULL: HEAD}
    return job


def only_comment(state):
    """The text of the one comment that is there, which is on the right pull request."""
    assert {number: len(held) for number, held in state.comments.items() if held} == {PULL: 1}
    return state.comments[PULL][0]["body"]


def require_harmless(text):
    """No link but to the run, no image, no HTML but our own, no mention or reference outside code."""
    tokens = [inner for token in MarkdownIt().enable("table").parse(text) for inner in (token, *(token.children or ()))]
    assert [token.attrs["href"] for token in tokens if token.type == "link_open"] == [PAGE]
    assert [token for token in tokens if token.type == "image"] == []
    html = "".join(token.content for token in tokens if token.type.startswith("html"))
    assert set(re.findall(r"<[^>]*>", html)) <= {MARK, "<details>", "</details>", "<summary>", "</summary>"}
    words = " ".join(token.content for token in tokens if token.type == "text")
    assert not re.search(r"@\w|#\d|evil|alert|Approved|https?:", words)


def test_the_verdict_comes_first(run, state):
    """What became slower, by how much, how sure, how to reproduce, and the rest folded."""
    assert run(SLOWER.as_json()) == (0, f"pull request {PULL}: comment created\n")
    text = only_comment(state)
    lines = text.splitlines()
    counts = "1 slower, 1 inconclusive, 1 worse in agreement, memory or instructions"
    assert lines[:2] == [MARK, f"### Performance gate: regression ({counts})"]
    (line,) = (line for line in lines if line.startswith("| `"))
    name = "`cross_entropy native 512x32000 float32 cpu step`"
    cells = [name, "**slower**", "+21.0 %", "+18.6 % to +23.4 %", "20", "time", "peak memory: 1000 B -> 4.88 KiB"]
    assert line.replace("\N{NO-BREAK SPACE}%", " %") == f"| {' | '.join(cells)} |"
    assert " %" not in line  # numbers do not part from their units where a cell is narrow
    assert "make gate BASE=bbbbbbbb HEAD=aaaaaaaa" in text
    assert text.index("make gate") < text.index("<details>")
    require_harmless(text)


def test_five_pushes_make_one_comment(run, state):
    """Every push edits it, one that changes nothing writes nothing, and the last word is that nothing changed."""
    reports = [SLOWER, SLOWER, SAME, outcome(row("faster", 0.8)), SAME]
    done = []
    for number, report in enumerate(reports):
        head = f"{number}" * 40
        state.pulls[PULL] = head
        done.append(run(replace(report, head=head).as_json(), head)[1].split()[-1])
    assert done == ["created", "edited", "edited", "edited", "edited"]
    assert "No row changed." in only_comment(state)
    assert run(replace(SAME, head="4" * 40).as_json(), "4" * 40)[1].endswith("comment kept\n")
    assert [method for method, _ in state.writes] == ["POST", *["PATCH"] * 4]


def test_nothing_is_said_where_nothing_changed(run, state):
    """No comment, no write."""
    assert run(SAME.as_json()) == (0, f"pull request {PULL}: comment none\n")
    assert state.writes == []


def test_what_could_not_be_measured_is_said(run, state):
    """An error is counted; its text, which the fork's code may have printed, is not shown."""
    run(outcome(row(), faults=(Fault("x", "head", PAYLOADS[0]),), removed=(PAYLOADS[1],)).as_json())
    text = only_comment(state)
    assert "not measured completely" in text
    assert "No row changed" not in text
    assert "**Incomplete**: 1 error, 1 kind of rows removed. The run's summary names them." in text
    require_harmless(text)


def test_a_row_that_is_worse_without_being_slower_is_not_called_same(run, state):
    """More instructions at the same time: the verdict is `worse`."""
    run(outcome(row(changes=(Change("instructions", 100.0, 120.0, True, "x"),), decided="instructions")).as_json())
    assert "| **worse** | +0.0\N{NO-BREAK SPACE}% |" in only_comment(state)


def test_a_comment_of_a_person_is_not_ours(run, state):
    """Someone copied our mark: their comment stays, ours is written beside it."""
    state.comments[PULL] = [{"id": 1, "body": f"{MARK} hello", "user": PERSON, "url": "x"}]
    run(SLOWER.as_json())
    assert [one["user"] for one in state.comments[PULL]] == [PERSON, BOT]


def test_an_outdated_run_posts_nothing(run, state):
    """The pull request has a newer commit, or none has this one."""
    state.pulls[PULL] = OTHER
    assert run(SLOWER.as_json()) == (0, f"no open pull request has {HEAD[:8]} as its newest commit; nothing posted\n")
    assert state.writes == []


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("where", ["benchmark", "params", "decided", "verdict", "what"])
def test_markup_in_a_name_refuses_the_report(run, state, payload, where):
    """Names and verdicts are checked as a whole: nothing is posted."""
    report = SLOWER.as_json()
    first = report["rows"][0]
    if where == "what":
        first["changes"][0]["what"] = payload
    else:
        first[where] = [payload] if where == "params" else payload
    code, said = run(report)
    assert (code, state.writes) == (2, [])
    assert payload not in said
    assert len(said.splitlines()) == 1


def test_texts_of_the_report_are_not_shown(run, state):
    """Commit subjects, notes, hunks, texts of changes and groups, unknown fields, other pull requests."""
    report = SLOWER.as_json()
    report |= {"commits": list(PAYLOADS), "notes": list(PAYLOADS), "environment": list(PAYLOADS)}
    report |= {"pull": 11, "number": 11, "issue": 11, "repository": "evil/evil"}
    report["rows"][0]["why"] = {"hunks": list(PAYLOADS), "functions": [{"function": PAYLOADS[0]}]}
    report["rows"][0]["changes"][0]["text"] = PAYLOADS[0]
    report["rows"][0]["reasons"] = list(PAYLOADS)
    report["groups"] = [
        {"name": one, "representative": one, "rows": 1, "decided": "", "missing": one} for one in PAYLOADS
    ]
    assert run(report)[0] == 0
    require_harmless(only_comment(state))


def with_row(**fields):
    report = SLOWER.as_json()
    report["rows"][0] |= fields
    return report


HOSTILE = {
    "wrong commit": replace(SLOWER, head=OTHER).as_json(),
    "ten megabytes": b'{"format": 1, "x": "' + b"x" * 10_000_000 + b'"}',
    "a million rows": with_row() | {"rows": [1] * 1_000_000},
    "broken JSON": b'{"format": 1, "rows": [',
    "no JSON": b"\x00\xff\xfe",
    "a list": b"[]",
    "nested deeply": b"[" * 100_000,
    "nested in a row": json.dumps(with_row()).replace('"params": [', '"params": [' + "[" * 900, 1).encode(),
    "schema of tomorrow": SLOWER.as_json() | {"format": 2},
    "without a version": {name: value for name, value in SLOWER.as_json().items() if name != "format"},
    "control characters": with_row(params=["native\x1b[31m", "\u202eevil"]),
    "a line break": with_row(params=["native\n\n# Approved"]),
    "infinite": json.dumps(with_row(ratio=math.inf)).encode(),
    "not a number": json.dumps(with_row(ratio=math.nan)).encode(),
    "huge integer": json.dumps(with_row()).replace('"pairs": 20', '"pairs": ' + "9" * 4000, 1).encode(),
    "text for a number": with_row(ratio="1.2"),
    "true for a number": with_row(pairs=True),
    "path as commit": SLOWER.as_json() | {"base": "../../etc/passwd"},
    "option as commit": SLOWER.as_json() | {"base": "--upload-pack=evil"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_reports_are_refused_in_one_line(run, state, name):
    """Exit code 2, nothing written, and nothing of the report is repeated in the log."""
    code, said = run(HOSTILE[name])
    assert (code, state.writes) == (2, [])
    assert re.fullmatch(r"refused: [\w .,:()-]{10,200}\n", said), said


@pytest.mark.parametrize("kind", ["link", "folder", "nothing"])
def test_a_report_that_is_no_file_is_refused(run, state, tmp_path, kind):
    """A link to a file of the runner, a folder, or no report at all."""
    folder = tmp_path / "gate-report"
    folder.mkdir()
    if kind == "link":
        (folder / "gate.json").symlink_to("/etc/passwd")
    elif kind == "folder":
        (folder / "gate.json").mkdir()
    code, said = run(None)
    assert (code, state.writes) == (2, [])
    assert "root:" not in said


@pytest.mark.parametrize(("status", "said"), [(403, "the forge answered 403: Resource not"), (500, "the forge")])
def test_a_forge_that_refuses_is_named(run, state, status, said, monkeypatch):
    """No permission, or a broken server: one line, exit code 1."""
    monkeypatch.setattr("reports.forge.client.GithubRetry", lambda **_: 0)
    state.refuse = status
    code, output = run(SLOWER.as_json())
    assert (code, output[: len(said)], len(output.splitlines())) == (1, said, 1)


def test_an_event_of_something_else_is_refused(state, tmp_path, monkeypatch):
    """Outside a job on `workflow_run` nothing happens."""
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "absent"))
    done = CliRunner().invoke(forge, ["comment", str(tmp_path)])
    assert (done.exit_code, state.writes) == (2, [])
    assert "names no event of a finished run" in done.output
