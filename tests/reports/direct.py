"""The pages' material from the result files alone: no archive, no database, nothing continued from an earlier build."""

from __future__ import annotations

import secrets
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lossimpl.identity import row_id
from reports.record.documents import DOCUMENTS
from reports.record.frames import SESSION, frame, session_frame
from reports.record.reader import read_unit
from reports.record.rows import name_of
from reports.record.stored import Stored
from reports.record.units import units
from reports.site.material import Material
from reports.statistics.changes import change_points
from reports.statistics.sessions import SERIES, points, rankable, timed

NEVER = pd.Timestamp("1970-01-01", tz="UTC")


def _placed(line):
    """A line with its machine and commit, which older ones have in the names of folder and file only."""
    return {name: line.read[name] for name in ("machine", "commit")} | line.held


class Direct(Stored):
    """What a folder holds, read whole."""

    def __init__(self, folder: Path) -> None:
        found, problems = units(folder)
        self.contents = [read_unit(one) for one in found]
        inside = [problem for one in self.contents for problem in one.problems]
        self.problems = [*problems, *sorted(inside, key=lambda one: (one.place, one.what))]

    def _lines(self, kind: str) -> list[dict[str, Any]]:
        ordered = sorted(self.contents, key=lambda one: (one.unit.machine, one.unit.stem))
        places = [
            {"machine": one.unit.machine, "env": one.unit.stem[9:], "commit": one.unit.stem[:8]} for one in ordered
        ]
        return [line.held | place for one, place in zip(ordered, places, strict=True) for line in one.lines[kind]]

    @cached_property
    def documents(self):
        return {
            name: {one.unit.machine: one.documents[name] for one in self.contents if name in one.documents}
            for name in DOCUMENTS
        }

    @property
    def machines(self):
        return {one.unit.machine: self.documents["machine.json"].get(one.unit.machine, {}) for one in self.contents}

    @cached_property
    def manifests(self):
        return self._lines("manifest")

    @cached_property
    def nights(self):
        return self._lines("changes")

    @cached_property
    def health(self):
        return self._lines("nightly")

    def version_of(self, session):
        return secrets.token_hex(8)  # nothing that was kept is used

    def lines_of(self, session, loss):
        lines = [line for one in self.contents for line in one.lines["rows"]]
        chosen = [line for line in lines if tuple(line.read.get(name, "") for name in SESSION) == tuple(session)]
        return [_placed(line) for line in chosen if line.read.get("loss") == loss]

    @cached_property
    def loaders(self):
        return pd.DataFrame(self._lines("loaders"))

    @cached_property
    def conformance(self):
        found = pd.DataFrame(self._lines("conformance"))
        if found.empty:
            return pd.DataFrame(columns=["machine", "env", "commit", "loss", "case", "device"])
        dates = {
            (one.unit.machine, one.unit.stem): one.date or NEVER for one in self.contents if one.lines["conformance"]
        }
        newest: dict[tuple[str, str], str] = {}
        for machine, stem in sorted(dates, key=dates.__getitem__):
            newest[machine, stem[9:]] = stem[:8]
        chosen = [newest[one["machine"], one["env"]] == one["commit"] for one in found.to_dict("records")]
        return found[chosen].reset_index(drop=True)

    @cached_property
    def every(self) -> pd.DataFrame:
        """All rows."""
        joined = [pair for one in self.contents for pair in one.joined()]
        return frame(row | ({"id": row_id(_placed(line))} if line else {}) for row, line in joined)

    @cached_property
    def commits(self):
        by_commit = self.every.assign(
            **{name: pd.to_datetime(self.every[name], utc=True) for name in ("date", "started_at")}
        ).groupby("commit")
        found = by_commit.agg(date=("date", "min"), newest=("started_at", "max")).reset_index()
        return found.sort_values(["date", "commit"], kind="stable").set_index("commit")

    @cached_property
    def of_losses(self) -> pd.DataFrame:
        """The rows of losses that were not skipped."""
        rows = self.every
        return rows[rows["loss"].notna() & rows["mode"].notna() & (rows["status"] != "skipped")]

    @cached_property
    def counts(self):
        found = [
            dict(zip(SESSION, key, strict=True))
            | {"started_at": pd.to_datetime(rows["started_at"], utc=True).min(), "timed": rows["value"].notna().sum()}
            | {"ranked": rankable(rows).sum(), "points": timed(rows).sum(), "statuses": Counter(rows["status"])}
            for key, rows in self.of_losses.groupby(SESSION)
        ]
        counts = pd.DataFrame(found, columns=[*SESSION, "started_at", "timed", "ranked", "points", "statuses"])
        return counts.assign(date=self.dates(counts["commit"]))

    @cached_property
    def sessions(self):
        return session_frame(line.read for one in self.contents for line in one.lines["sessions"])

    @property
    def losses(self):
        return sorted(set(self.of_losses["loss"]))

    def rows_of(self, session, of="losses"):
        rows = self.of_losses if of != "loading" else self.every[self.every["benchmark"].str.startswith("loading.")]
        return self._dated(rows[(rows[SESSION] == pd.Series(session, index=SESSION)).all(axis=1)])

    def _dated(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows.reset_index(drop=True).assign(date=self.dates(rows["commit"].reset_index(drop=True)))

    @cached_property
    def loading(self):
        rows = self.every[self.every["benchmark"].str.startswith("loading.") & (self.every["status"] != "skipped")]
        if rows.empty:
            return frame([])
        rows = self._dated(rows)
        rows["rank"] = [
            (NEVER if pd.isna(date) else date, NEVER if pd.isna(start) else start)
            for date, start in zip(rows["date"], rows["started_at"], strict=True)
        ]
        newest = {
            tuple(max(some.to_dict("records"), key=lambda row: row["rank"])[name] for name in SESSION): None
            for _, some in rows.groupby(["machine", "env", "dataset"])
        }
        return pd.concat([self.rows_of(one, "loading") for one in newest], ignore_index=True)

    @cached_property
    def history(self) -> pd.DataFrame:
        """The points of all series, by the order of commits."""
        found = points(self._dated(self.every[timed(self.every)]))
        places = {commit: place for place, commit in enumerate(self.commits.index)}
        return found.assign(place=found["commit"].map(places)).sort_values("place", kind="stable")

    def points(self, figures, newest):
        return [self._points(one, newest) for one in figures]

    def _points(self, series, newest):
        keys = set(zip(series["machine"], series["env"], series["row"], strict=True))
        rows = [name_of(one["benchmark"], one["params"]) for one in self.history.to_dict("records")]
        own = [key in keys for key in zip(self.history["machine"], self.history["env"], rows, strict=True)]
        found = self.history[own]
        return found[found["commit"].isin(list(dict.fromkeys(found["commit"]))[-newest:])]


class DirectMaterial(Material):
    """Every series from all its points at once."""

    @cached_property
    def series(self):
        found = [
            self._series(dict(zip(SERIES, key, strict=True)), rows)
            for key, rows in self.results.history.groupby(SERIES)
        ]
        return pd.DataFrame(found)

    def _series(self, names, rows):
        commits, values = rows["commit"].tolist(), rows["value"].tolist()
        changes = [
            vars(one) | {"commit": commits[one.position], "before": commits[one.position - 1]}
            for one in change_points(values)
        ]
        ranked = rows[rankable(rows)].to_dict("records")[-2:]
        pair = len(ranked) > 1 and ranked[0]["version"] == ranked[1]["version"]
        first = rows.iloc[0]
        return {
            **names,
            **{name: first[name] for name in ("loss", "implementation", "shape", "dtype", "device", "mode")},
            **{"row": name_of(names["benchmark"], names["params"]), "points": len(rows), "changes": changes},
            **{"first": commits[0], "last": commits[-1], "newest": pd.to_datetime(rows["started_at"], utc=True).max()},
            **{"before": ranked[0] if pair else None, "now": ranked[1] if pair else None},
        }
