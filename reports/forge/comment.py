"""The gate's report as one comment on its pull request, which every push updates.

Which pull request it is, the forge says, by the commit that its own event names; the report never does. Where nothing
changed and there is no comment yet, there is none afterwards.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import jinja2

from lossimpl import wording
from reports.forge.artifact import Refused, read
from reports.forge.client import Forge
from reports.gate import render
from reports.gate.outcome import FINE, Outcome

REPORT = "gate.json"
MARK = "<!-- lossimpl gate -->"
MOST_ROWS = 20
ADDRESS = re.compile(r"https?://[A-Za-z0-9.:-]+/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/actions/runs/[0-9]+")
TEMPLATES = Path(__file__).parent / "templates"


def post(forge: Forge, folder: Path, head: str, address: str) -> str:
    """Bring the comment on the pull request of `head` up to date; return what was done, in one line."""
    outcome = read(folder / REPORT, head)
    pull = forge.pull_of(head)
    if pull is None:
        return f"no open pull request has {head[:8]} as its newest commit; nothing posted"
    done = forge.comment(pull, MARK, text(outcome, address), begin=changed(outcome))
    return f"pull request {pull}: comment {done}"


def event() -> tuple[str, str]:
    """The commit and the page of the finished run that started this job, as the forge's event names them."""
    path = Path(os.environ.get("GITHUB_EVENT_PATH", ""))
    try:
        run = json.loads(path.read_text(encoding="utf-8"))["workflow_run"]
        head, address = str(run["head_sha"]), str(run["html_url"])
    except (OSError, ValueError, KeyError, TypeError) as failure:
        raise Refused(
            "GITHUB_EVENT_PATH names no event of a finished run; this runs in a job on `workflow_run`"
        ) from failure
    if not re.fullmatch(r"[0-9a-f]{40}", head) or not ADDRESS.fullmatch(address):
        raise Refused("the event names no commit and page of a run")
    return head, address


def changed(outcome: Outcome) -> bool:
    """Whether there is something to say: a row changed, or something could not be measured."""
    moved = any(row.verdict in ("slower", "faster") or row.changes for row in outcome.rows)
    return moved or bool(outcome.faults or outcome.removed or outcome.missing)


def text(outcome: Outcome, address: str) -> str:
    """The comment, which starts with our mark."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # Markdown; whatever is not ours is a number, a verdict, or a name in code quotes
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    rows = [row for row in render.ordered(outcome) if row.regressed or row.verdict == "faster" or row.changes]
    whole = environment.get_template("comment.md").render(
        mark=MARK,
        outcome=outcome,
        headline=render.headline(outcome),
        coverage=render.coverage(outcome),
        rows=rows[:MOST_ROWS],
        more=len(rows) - MOST_ROWS,
        words=render.words,
        interval=render.interval,
        verdict=render.verdict,
        unbroken=render.unbroken,
        incomplete=_incomplete(outcome),
        FINE=FINE,
        w=wording,
        address=address,
        replay=render.replay(outcome),
    )
    return whole.strip() + "\n"


def _incomplete(outcome: Outcome) -> str:
    """What is not known, counted; empty if everything is."""
    counts = {
        "{} group{s} of rows measured without a decision": len(outcome.undecided),
        "{} group{s} of rows not measured": len(outcome.missing),
        "{} error{s}": len(outcome.faults),
        "{} kind{s} of rows removed": len(outcome.removed),
    }
    return ", ".join(words.format(count, s="s" * (count > 1)) for words, count in counts.items() if count)
