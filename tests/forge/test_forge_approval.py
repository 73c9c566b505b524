"""Only the commit that a maintainer approved runs on a machine of our own."""

import pytest
from typer.testing import CliRunner

from reports.forge.command import forge

HEAD, OTHER = "a" * 40, "c" * 40


@pytest.fixture
def approve(state, monkeypatch):
    """Run the job's check; `state` is what is allowed, which each test changes in one respect."""
    state.pulls |= {12: HEAD}
    state.roles |= {"maintainer": "maintain", "owner": "admin", "writer": "write", "triager": "triage"}
    state.reviewers = ["maintainer"]

    def job(head=HEAD, actor="maintainer", again="maintainer"):
        for name, value in (("GITHUB_ACTOR", actor), ("GITHUB_TRIGGERING_ACTOR", again)):
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(forge, ["approve", head])
        assert state.writes == []
        return done.exit_code, done.output.strip()

    return job


def test_the_newest_commit_may_run_when_a_maintainer_says_so(approve):
    """Whoever started the run again is named too."""
    said = f"pull request 12: {HEAD} may run on our own machine, approved by maintainer"
    assert approve() == (0, said)
    assert approve(again="owner") == (0, f"{said} and owner")


def test_a_commit_pushed_after_the_approval_does_not_run(approve, state):
    """The pull request has a newer commit: the approved one is not what would be merged, the new one nobody read."""
    state.pulls[12] = OTHER
    assert approve() == (2, f"refused: no open pull request has {HEAD} as its newest commit")


@pytest.mark.parametrize("head", ["main", HEAD[:8], "refs/pull/12/head", f"{HEAD} --force", "$(id)", ""])
def test_only_a_whole_commit_names_what_runs(approve, head):
    """A branch or an abbreviation may be another commit by the time that it is fetched."""
    code, said = approve(head)
    assert (code, said.startswith("refused: the commit must be named by all its 40 digits")) == (2, True)


@pytest.mark.parametrize("name", ["writer", "triager", "stranger"])
def test_others_cannot_approve(approve, name):
    """Neither by starting a run nor by starting a maintainer's again."""
    for run in ({"actor": name, "again": name}, {"again": name}):
        code, said = approve(**run)
        assert (code, f"refused: {name} has the role" in said) == (2, True)


@pytest.mark.parametrize("reviewers", [None, []])
def test_an_environment_that_lets_everyone_pass_is_no_lock(approve, state, reviewers):
    """The forge makes an environment without rules where a job names one that does not exist."""
    state.reviewers = reviewers
    code, said = approve()
    assert (code, "has no required reviewers" in said) == (2, True)


def test_without_an_answer_nothing_runs(approve, state):
    """A token without rights: exit 1 and one line, after what the library may have logged."""
    state.refuse = 403
    code, said = approve()
    assert code == 1
    assert said.endswith("the forge answered 403: Resource not accessible by integration")


def test_without_a_job_nothing_runs(approve):
    """No name of who started the run."""
    code, said = approve(actor="", again="")
    assert (code, said.startswith("GITHUB_ACTOR: not set")) == (1, True)
