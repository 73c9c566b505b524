"""git as a program: run with time limits, never asking for a password, its failures as one line."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

SECONDS = 600.0  # that a transfer may take
NOISE = re.compile(r"^(hint|remote: *$|To |Everything|error: failed to push|fatal: the remote end)")
OTHERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # set by a git that calls us as its hook: another repository
HELPER = '!f() { test "$1" = get && printf "username=x-access-token\\npassword=%s\\n" "$GITHUB_TOKEN"; }; f'


class GitFailed(RuntimeError):
    """git ended with an error; the message is the line of its output that says why, `output` all of it."""

    def __init__(self, output: str) -> None:
        lines = [line.strip() for line in output.splitlines() if line.strip() and not NOISE.match(line)]
        grave = min(lines, key=_gravity, default="git failed without a message")
        super().__init__(re.sub(r"^(fatal|error|remote|remote: error): *", "", grave).rstrip("."))
        self.output = output


def _gravity(line: str) -> int:
    """The place of a line among those that may say why git failed; what caused the others comes first."""
    causes = ("ssh:", "permission denied", "no space left", "fatal:", "error:", "remote:", "!")
    return next((place for place, cause in enumerate(causes) if cause in line.lower()), len(causes))


def git(folder: Path, *arguments: str, given: bytes | None = None, variables: Mapping[str, str] | None = None) -> bytes:
    """The output of git in a repository, bare or not."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            timeout=SECONDS,
            env=_environment() | dict(variables or {}),
        )
    except subprocess.TimeoutExpired as late:
        raise GitFailed(f"no answer within {late.timeout:.0f} s") from late
    except FileNotFoundError as missing:
        raise GitFailed("git is not installed") from missing
    if done.returncode:
        raise GitFailed((done.stderr + b"\n" + done.stdout).decode(errors="replace"))
    return done.stdout


def _environment() -> dict[str, str]:
    """The environment, without questions to a terminal; in GitHub's jobs, with the job's token for its own server."""
    held = {name: value for name, value in os.environ.items() if name not in OTHERS}
    held |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    held.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=30")
    if held.get("GITHUB_TOKEN") and (server := held.get("GITHUB_SERVER_URL")):
        count = int(held.get("GIT_CONFIG_COUNT", "0"))
        held |= {
            "GIT_CONFIG_COUNT": str(count + 1),
            f"GIT_CONFIG_KEY_{count}": f"credential.{server}.helper",
            f"GIT_CONFIG_VALUE_{count}": HELPER,
        }
    return held
