"""Whether a commit of a pull request may run on a machine of our own: only the one that a maintainer approved.

A maintainer starts the workflow with the commit that they have read. Two locks are checked here, before a job for the
machine is queued: the commit is the newest of an open pull request and whoever started the run maintains the
repository; and the environment of that job has required reviewers, without whom the forge would let it pass. A new
commit is another one, and needs another approval.
"""

from __future__ import annotations

import os
import re

from reports.forge.artifact import Refused
from reports.forge.client import Forge, ForgeFailed

ENVIRONMENT = "benchmark"  # of the job in benchmark-machine.yml
MAINTAINERS = ("admin", "maintain")


def approve(forge: Forge, head: str) -> str:
    """Say which pull request's commit may run, and by whom it was approved; raises `Refused` if it may not."""
    if not re.fullmatch(r"[0-9a-f]{40}", head):
        raise Refused("the commit must be named by all its 40 digits, so that no other one can run in its place")
    pull = forge.pull_of(head)
    if pull is None:
        raise Refused(f"no open pull request has {head} as its newest commit")
    for name in _starters():
        if (role := forge.role(name)) not in MAINTAINERS:
            raise Refused(f"{name} has the role {role!r}, but only {' or '.join(MAINTAINERS)} may approve a commit")
    if not forge.is_reviewed(ENVIRONMENT):
        raise Refused(f"the environment {ENVIRONMENT!r} has no required reviewers; docs/operations.md sets it up")
    return f"pull request {pull}: {head} may run on our own machine, approved by {' and '.join(_starters())}"


def _starters() -> list[str]:
    """Who started the run, and who started it again."""
    names = (os.environ.get(name, "") for name in ("GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR"))
    found = list(dict.fromkeys(filter(None, names)))
    if not found:
        raise ForgeFailed("GITHUB_ACTOR: not set; the forge's jobs set it, docs/operations.md has how")
    return found
