"""The forge's jobs against a server on this machine."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # reports/ is run from the checkout and never installed

from loopback import REPOSITORY, TOKEN, serving


@pytest.fixture
def state(monkeypatch):
    """The server's state; the environment is that of a job with a token for it."""
    with serving() as held:
        monkeypatch.setenv("GITHUB_API_URL", held.address)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        yield held
