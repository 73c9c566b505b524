"""Where, when and on which commits the numbers of a page were measured, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.site.material import Material
from reports.statistics.ranking import SETUP

MOST_NAMED = 3  # commits; the rest are counted


@dataclass(frozen=True)
class Conditions:
    """One machine, described, one environment, and the commits of its rows."""

    machine: str
    env: str
    commits: str


def conditions(material: Material, rows: pd.DataFrame) -> list[Conditions]:
    """One entry per machine and environment in `rows`, which have the columns `machine`, `env` and `commit`."""
    if rows.empty:
        return []
    return [_one(material, str(machine), str(env), one) for (machine, env), one in rows.groupby(SETUP, sort=True)]


def _one(material: Material, machine: str, env: str, rows: pd.DataFrame) -> Conditions:
    facts = material.results.machines.get(machine, {})
    measured = material.results.rows.groupby("commit")["started_at"].max()
    return Conditions(_described(machine, facts), env, commits(rows["commit"], measured))


def _described(name: str, facts: Mapping[str, Any]) -> str:
    """The folder's name, with what asv wrote about the machine."""
    cores = f"{facts['num_cpu']} cores" if facts.get("num_cpu") else None
    known = [str(one) for one in (facts.get("cpu"), cores, facts.get("os")) if one]
    return f"{name} ({', '.join(known)})" if known else name


def commits(rows: pd.Series[str], measured: pd.Series[pd.Timestamp]) -> str:
    """The commits of rows, last measured first, each with its day, and with the number of rows if there are several.

    >>> days = pd.Series({"0123abcd": pd.Timestamp("2026-11-23"), "89abcdef": pd.NaT})
    >>> commits(pd.Series(["89abcdef", "0123abcd", "0123abcd"]), days)
    'commits 0123abcd measured 2026-11-23 (2 rows), 89abcdef (1 rows)'
    >>> commits(pd.Series(["0123abcd"]), days)
    'commit 0123abcd measured 2026-11-23'
    """
    counts = rows.value_counts()
    order = measured.reindex(counts.index).sort_values(ascending=False, na_position="last").index
    named = [f"{one}{_day(measured.get(one))}" for one in order]
    if len(named) == 1:
        return f"commit {named[0]}"
    counted = [f"{one} ({counts[commit]} rows)" for one, commit in zip(named, order, strict=True)]
    more = f" and {len(counted) - MOST_NAMED} more" if len(counted) > MOST_NAMED else ""
    return f"commits {', '.join(counted[:MOST_NAMED])}{more}"


def _day(time: Any) -> str:
    return "" if time is None or pd.isna(time) else f" measured {time:%Y-%m-%d}"
