"""Where, when, in which session and on which commit the numbers of a page were measured, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.site.material import Material
from reports.statistics.loading import SEARCH
from reports.statistics.sessions import SETUP, Session


@dataclass(frozen=True)
class Conditions:
    """One machine, described, one environment, and what was measured there."""

    machine: str
    env: str
    measured: str


def of_session(material: Material, session: Session) -> Conditions:
    """The conditions of a session."""
    measured = f"commit {session.commit}{day(session.began_at)}, {session_words(session)}"
    return Conditions(described(material, session.machine), session.env, measured)


def session_words(session: Session) -> str:
    """A session by its id and grid; a row of the old protocol belongs to none."""
    if not session.id:
        return "one process per row"
    return f"session {session.id}" + (f" ({session.grid} grid)" if session.grid else "")


def short_words(session: Session) -> str:
    """A session among those of a page: its grid and day."""
    what = "the old protocol" if not session.id else f"{session.grid or 'a'} grid"
    return f"{what}, {session.began_at:%Y-%m-%d}" if not pd.isna(session.began_at) else what


def of_source(material: Material, row: pd.Series) -> Conditions:
    """The conditions of a loader's row: a session, or `lossimpl loaders`."""
    source = SEARCH if row["session"] == SEARCH else f"session {row['session']}" if row["session"] else ""
    measured = f"commit {row['commit']}{day(_newest(material, row['commit']))}"
    where = described(material, str(row["machine"]))
    return Conditions(where, str(row["env"]), ", ".join(filter(None, (measured, source))))


def _newest(material: Material, commit: str) -> Any:
    return material.results.commits["newest"].get(commit)


def of_commits(material: Material, rows: pd.DataFrame) -> list[Conditions]:
    """One entry per machine, environment and commit in `rows`, for what does not depend on the session."""
    if rows.empty:
        return []
    return [
        Conditions(described(material, str(machine)), str(env), f"commit {commit}{day(_newest(material, commit))}")
        for machine, env, commit in rows[[*SETUP, "commit"]].drop_duplicates().itertuples(index=False)
    ]


def described(material: Material, name: str) -> str:
    """A machine by its name, with its kind."""
    words = kind(material, name)
    return f"{name} ({words})" if words else name


def kind(material: Material, name: str) -> str:
    """The processor, its cores and the GPU of a machine, by its last manifest, or by what asv knows of it."""
    manifests = [one for one in material.results.manifests if one.get("machine") == name]
    manifest, facts = (manifests or [{}])[-1], material.results.machines.get(name, {})
    cores = _fact(manifest, "threads", "usable") or facts.get("num_cpu")
    cpu, gpu = _fact(manifest, "cpu", "model") or facts.get("cpu"), _fact(manifest, "gpu", "model")
    return ", ".join(str(one) for one in (cpu, f"{cores} cores" if cores else "", gpu) if one)


def _fact(manifest: Mapping[str, Any], part: str, name: str) -> Any:
    found = manifest.get(part)
    return found.get(name) if isinstance(found, Mapping) else None


def day(time: Any) -> str:
    """When something was measured, to be added to what it was; empty if not known."""
    return "" if time is None or pd.isna(time) else f" measured {time:%Y-%m-%d}"
