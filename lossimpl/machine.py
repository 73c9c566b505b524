"""Which machine is this? What it is (its kind), and which one of that kind (an anonymous, stable id).

Results of two machines of one kind are results of two machines: a shared host, a BIOS setting or a neighbour makes
their times differ. `LOSSIMPL_MACHINE` names a pool whose machines are to count as one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from lossimpl import environment

INSTALLATION = Path("/etc/machine-id")  # systemd's id of the installation, which must not be shown to others
SALT = b"lossimpl"


def slug(text: str) -> str:
    """Lower-case words and numbers joined by hyphens.

    >>> slug("AMD EPYC 7B13 (TM) @ 2.45GHz")
    'amd-epyc-7b13-2-45ghz'
    """
    return "-".join(re.findall(r"[a-z0-9]+", re.sub(r"\((?:tm|r)\)", " ", text.lower())))


def kind() -> str:
    """The model of the processor, its number of cores, and the model of the GPU if there is one."""
    manifest = environment.manifest()
    parts = [slug(manifest["cpu"]["model"]), f"{manifest['threads']['usable']}c"]
    return "-".join(parts + ([slug(manifest["gpu"]["model"])] if manifest["gpu"] else []))


def identity() -> str:
    """Six hexadecimal digits from a keyed hash of the installation's id, which cannot be traced back to it."""
    return hmac.new(SALT, installation().encode(), hashlib.sha256).hexdigest()[:6]


def name() -> str:
    """The machine in results: `LOSSIMPL_MACHINE`, else its kind and its identity.

    Raises ValueError if the variable is not made of letters, digits, dots, hyphens and underscores.
    """
    pool = os.environ.get("LOSSIMPL_MACHINE", "")
    if not pool:
        return f"{kind()}-{identity()}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", pool):
        raise ValueError(
            f"LOSSIMPL_MACHINE: expected up to 64 letters, digits, dots, hyphens or underscores, got {pool!r}"
        )
    return pool


def installation() -> str:
    """The id of the installation; where the system has none, a random one that is kept with our state."""
    try:
        found = INSTALLATION.read_text().strip()
    except OSError:
        found = ""
    return found or kept("machine-id", secrets.token_hex(16))


def state() -> Path:
    """The folder where this user's state is kept (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lossimpl"


def kept(name: str, initial: str) -> str:
    """The text of a file of our state, which is written the first time."""
    path = state() / name
    try:
        return path.read_text().strip()
    except OSError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(initial)
        return initial
