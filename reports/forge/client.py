"""The few requests that we make to the forge's REST API; nothing else of it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import requests
from github import Auth, Github, GithubException, UnknownObjectException
from github.GithubRetry import GithubRetry

MOST_PULLS = 1000  # open pull requests that are looked through, the last updated first
SECONDS = 30


class ForgeFailed(RuntimeError):
    """The forge refused a request, or did not answer."""


@dataclass(frozen=True)
class Issue:
    """An issue that we opened; `body` starts with its mark."""

    number: int
    body: str
    is_open: bool


class Forge:
    """One repository on the forge, with a token's rights."""

    def __init__(self, repository: str, token: str, address: str) -> None:
        retry = GithubRetry(total=3, backoff_factor=0.5)
        github = Github(auth=Auth.Token(token), base_url=address, timeout=SECONDS, retry=retry, per_page=100, lazy=True)
        self.repository = github.get_repo(repository)

    @classmethod
    def of_job(cls) -> Forge:
        """The repository of this job, by the variables that its runner sets."""
        held = {name: os.environ.get(name, "") for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN", "GITHUB_API_URL")}
        if missing := [name for name, value in held.items() if not value]:
            raise ForgeFailed(f"{', '.join(missing)}: not set; the forge's jobs set them, docs/operations.md has how")
        return cls(*held.values())

    def pull_of(self, head: str) -> int | None:
        """The number of the open pull request whose newest commit this is."""
        pulls = self.repository.get_pulls(state="open", sort="updated", direction="desc")
        return next((one.number for one in islice(pulls, MOST_PULLS) if one.head.sha == head), None)

    def role(self, user: str) -> str:
        """The role of a user in the repository: `admin`, `maintain`, `write`, `triage`, `read`, `none`, or its own."""
        return self.repository.get_collaborator_role_name(user)

    def is_reviewed(self, environment: str) -> bool:
        """Whether jobs of an environment wait for a reviewer; those of one that does not exist would not."""
        try:
            rules = self.repository.get_environment(environment).protection_rules
        except UnknownObjectException:
            return False
        return any(rule.type == "required_reviewers" and rule.reviewers for rule in rules)

    def comment(self, pull: int, mark: str, text: str, begin: bool) -> str:
        """Write the one comment that starts with `mark`; return what was done: created, edited, kept or none.

        Without such a comment one is made only to `begin`. Comments of people are not ours, whatever they start with.
        """
        issue = self.repository.get_issue(pull)
        ours = (one for one in issue.get_comments() if one.body.startswith(mark) and one.user.type == "Bot")
        known = next(ours, None)
        if known is None:
            if begin:
                issue.create_comment(text)
            return "created" if begin else "none"
        if known.body.strip() == text.strip():
            return "kept"
        known.edit(text)
        return "edited"

    def issues(self, label: str) -> Iterator[Issue]:
        """Our issues with a label, the closed ones too."""
        for one in self.repository.get_issues(state="all", labels=[label]):
            if one.user.type == "Bot" and one.pull_request is None:
                yield Issue(one.number, one.body or "", one.state == "open")

    def open_issue(self, title: str, body: str, label: str) -> int:
        """Open an issue; return its number."""
        return self.repository.create_issue(title, body=body, labels=[label]).number

    def edit_issue(self, number: int, body: str, is_open: bool) -> None:
        """Replace the text of an issue, and open or close it."""
        self.repository.get_issue(number).edit(body=body, state="open" if is_open else "closed")


FAILURES = (GithubException, requests.RequestException)


def reason(failure: BaseException) -> str:
    """What the forge said, in one line."""
    if isinstance(failure, GithubException):
        said = failure.data.get("message", "") if isinstance(failure.data, dict) else ""
        return f"the forge answered {failure.status}{': ' + said if said else ''}"
    return f"the forge did not answer: {type(failure).__name__}"
