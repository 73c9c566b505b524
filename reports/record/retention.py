"""Retention: samples of old sessions become quantiles.

Rounds, from which every time, interval and verdict follows, stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from reports.record import columns
from reports.record.archive import OWN, Archive, Partition
from reports.record.schema import Record

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def compact(archive: Archive, months: int, today: pd.Timestamp | None = None) -> list[str]:
    """Compact the partitions of commits that are more than so many months old; return those that had samples."""
    newest = (today or pd.Timestamp.now(tz="UTC")) - pd.DateOffset(months=months)
    old = [one for one in archive.partitions if one.month != OWN and one.month < f"{newest:%Y-%m}"]
    return [one.folder for one in old if _compacted(archive, one)]


def _compacted(archive: Archive, partition: Partition) -> bool:
    rows = archive.table("rows", partition)
    fresh = [_row(row) for row in rows.to_pylist()]
    if all(row is None for row in fresh):
        return False
    kept = [row or old for row, old in zip(fresh, rows.to_pylist(), strict=True)]
    tables = {name: archive.table(name, partition) for name in partition.files}
    tables["rows"] = pa.Table.from_pylist(kept, columns.ROWS)
    archive.put(partition.machine, partition.month, tables, partition.units)
    return True


def _row(row: Record) -> Record | None:
    """A row whose samples are quantiles; None if it has no samples."""
    samples = [*(row["samples"] or []), *(one for round in row["rounds"] or [] for one in round["samples"] or [])]
    if not samples:
        return None
    rounds = [round | {"samples": None} for round in row["rounds"]] if row["rounds"] is not None else None
    return row | {"samples": None, "rounds": rounds, "quantiles": quantiles(samples)}


def quantiles(samples: list[float]) -> list[Any]:
    """The `QUANTILES` of samples.

    >>> quantiles([1.0, 2.0, 3.0])[3]
    2.0
    """
    return [float(one) for one in np.quantile(np.asarray(samples, dtype=float), QUANTILES)]
