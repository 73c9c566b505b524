"""What nights found becomes one issue per commit, which follows the finding to its end."""

import pandas as pd
from loopback import PERSON, REPOSITORY, TOKEN

from reports.forge.client import Forge
from reports.forge.issues import LABEL, mark, update, worse

SLOW = {
    "machine": "one",
    "row": "a(1)",
    "environment": "py3",
    "commit": "cccccccc",
    "before": "bbbbbbbb",
    "ratio": 1.25,
}
FIXED = {**SLOW, "commit": "dddddddd", "before": "cccccccc", "ratio": 0.8}


def rows(*names, machine="one", commit="eeeeeeee"):
    frame = [{"machine": machine, "commit": commit, "row": name, "date": pd.Timestamp("2026-01-01")} for name in names]
    return pd.DataFrame(frame, columns=["machine", "commit", "row", "date"])


def states(nights, present=("a(1)", "b(1)")):
    return {commit: [one.state for one in found] for commit, found in worse(nights, rows(*present)).items()}


def test_a_finding_is_open_until_it_is_fixed_or_gone():
    """+25 % and then -20 % is back at the old level; a row that the newest commit lacks is gone."""
    assert states([SLOW]) == {"cccccccc": ["open"]}
    assert states([SLOW, FIXED]) == {"cccccccc": ["fixed by dddddddd"]}
    assert states([SLOW, {**FIXED, "ratio": 0.9}]) == {"cccccccc": ["open"]}
    assert states([SLOW, {**FIXED, "machine": "two"}]) == {"cccccccc": ["open"]}
    assert states([SLOW], present=("b(1)",)) == {"cccccccc": ["gone"]}


def test_what_is_no_regression_raises_nothing():
    """Faster rows, refuted and moved findings, new environments."""
    harmless = [{**SLOW, "ratio": 0.7}, {**SLOW, "stands": False}, {**SLOW, "moved_to": "dddddddd"}]
    assert states([*harmless, {"machine": "one", "commit": "cccccccc", "event": "py3 -> py4"}]) == {}


def test_one_issue_per_commit_from_opening_to_closing(state):
    """Opened once, kept while nothing changes, updated when a row is added and when it is measured again, closed."""
    forge = Forge(REPOSITORY, TOKEN, state.address)
    second = {**SLOW, "row": "b(1)", "text": "peak memory: 1 -> 2 bytes"}
    nights = [
        ([SLOW], "issue 100 opened for cccccccc"),
        ([SLOW], None),
        ([{**SLOW, "again": "confirmed by 20 pairs"}], "issue 100 updated for cccccccc"),
        ([SLOW, second], "issue 100 updated for cccccccc"),
        ([SLOW, second, FIXED], "issue 100 updated for cccccccc"),
    ]
    for lines, said in nights:
        assert update(forge, worse(lines, rows("a(1)", "b(1)"))) == ([said] if said else [])
    assert update(forge, worse([SLOW, second, FIXED], rows("a(1)"))) == ["issue 100 closed for cccccccc"]
    (issue,) = state.issues
    assert (issue["state"], issue["title"]) == ("closed", "cccccccc made 1 row slower or worse")
    assert "| `a(1)` | one | 1.25× as long | fixed by dddddddd |" in issue["body"]
    assert [method for method, _ in state.writes] == ["POST", "PATCH", "PATCH", "PATCH", "PATCH"]


def test_a_finding_that_is_over_opens_nothing(state):
    """Planned removals and what was fixed before anybody looked."""
    forge = Forge(REPOSITORY, TOKEN, state.address)
    assert update(forge, worse([SLOW, FIXED], rows("a(1)"))) == []
    assert update(forge, worse([SLOW], rows("b(1)"))) == []
    assert state.writes == []


def test_an_issue_of_a_person_is_not_ours(state):
    """Someone copied our mark and label: ours is opened beside it."""
    labels = [{"name": LABEL}]
    state.issues.append({"number": 100, "body": mark("cccccccc"), "state": "open", "user": PERSON, "labels": labels})
    update(Forge(REPOSITORY, TOKEN, state.address), worse([SLOW], rows("a(1)")))
    assert [one["user"]["type"] for one in state.issues] == ["User", "Bot"]
