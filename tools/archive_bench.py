"""`make archive-bench`: a synthetic archive of 5 machines x 2,000 commits x 2,000 series, and what using it costs.

    python tools/archive_bench.py generate FOLDER    writes partitions until it is whole; continues where it was stopped
    python tools/archive_bench.py measure FOLDER     prints the table of costs

`--commits` and `--series` make it smaller. No number in the archive was measured.
"""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from reports.record import columns
from reports.record.archive import Archive, changed
from reports.record.query import Queries
from reports.record.rows import name_of

ENV, ROUNDS, SAMPLES = "shared-py3.11-torch9.9.9", 5, 11
NEWEST = pd.Timestamp("2026-11-01", tz="UTC")
app = typer.Typer(add_completion=False)
Folder = Annotated[Path, typer.Argument()]
Count = Annotated[int, typer.Option(min=2)]


def series(count: int) -> pd.DataFrame:
    """The names of so many series: losses x implementations x shapes x dtypes x modes."""
    losses = ("mse_loss", "l1_loss", "cross_entropy", "huber_loss", "log_cosh_loss")
    implementations = ("native", "torch", "compiled", "vectorized", "naive")
    shapes = [f"{2**size}x{width}" for size in range(4, 12) for width in (10, 1024, 1000, 512, 33)]
    cases = [
        (*one, "cpu", mode)
        for one in ((s, d) for s in shapes for d in ("float32", "bfloat16"))
        for mode in ("step", "forward")
    ]
    found = [(loss, name, *case) for case in cases for loss in losses for name in implementations][:count]
    frame = pd.DataFrame(found, columns=columns.IDENTITY)
    frame["benchmark"] = frame["loss"] + ".Loss.track_seconds"
    frame["params"] = [[repr(value) for value in one[1:]] for one in found]
    frame["row"] = [name_of(*one) for one in zip(frame["benchmark"], frame["params"], strict=True)]
    return frame.sort_values("row", ignore_index=True)


def rows(names: pd.DataFrame, machine: int, commits: list[int], dates: list[pd.Timestamp]) -> pa.Table:
    """The rows of some commits of a machine: noise of 1 to 5 %, and a step of 20 % in every tenth series."""
    count, times = len(names), len(commits)
    chance = np.random.default_rng([machine, commits[0]])
    which = np.repeat(np.arange(count), times)
    place = np.tile(np.array(commits), count)
    level = 1e-5 * (1 + which % 977) * np.where((which % 10 == machine) & (place > 900), 1.2, 1.0)
    noise = 0.01 + 0.04 * (which % 7) / 6
    seconds = level[:, None] * np.exp(noise[:, None] * chance.standard_normal((len(which), ROUNDS)))
    value, spread = np.exp(np.log(seconds).mean(axis=1)), 1 + 1.2 * noise
    ceiling = 4e10 * np.exp(0.02 * chance.standard_normal((len(which), ROUNDS)))
    share = 1e5 / value / ceiling.mean(axis=1)
    batch = seconds.repeat(SAMPLES).reshape(-1) * np.exp(0.01 * chance.standard_normal(seconds.size * SAMPLES))
    batch = np.array(np.char.mod("%.4e", batch), dtype=float)  # samples are stored with five digits
    started = [dates[commit] for commit in commits]
    text = lambda value: pa.array([value], pa.string()).take(pa.array(np.zeros(len(which), int)))  # noqa: E731
    held: dict[str, Any] = {name: names[name].to_numpy()[which] for name in ("row", "benchmark", *columns.IDENTITY)}
    held |= {"params": names["params"].to_numpy()[which], "commit": [f"{one:08x}" for one in place]}
    held |= {
        "session": [f"night{one:06d}" for one in place],
        "env": text(ENV),
        "status": text("ok"),
        "reason": text(""),
    }
    held |= {"verdict": text("ok"), "busy": text(""), "ceiling_name": text("copy"), "level": text("memory")}
    held |= {"version": text("1"), "python": text("3.11"), "manifest": text("synthetic")}
    held |= {"value": value, "low": value / spread, "high": value * spread, "share": share}
    held |= {"share_low": share / spread, "share_high": share * spread, "ceiling": ceiling.mean(axis=1)}
    held |= dict.fromkeys(("traffic", "peak_bytes", "saved_bytes"), 1000.0 + which)
    held |= {name: 1e-7 * (1 + which % 13) for name in columns.AGREEMENT if name != "verdict"}
    held |= {"number": np.full(len(which), 3.0), "threads": np.full(len(which), 2.0), "line": which + 1}
    held |= {"date": np.array(started * count), "started_at": np.array(started * count)}
    rounds = rounds_of(seconds, ceiling, batch)
    other = text('{"options":{},"maker":"normal","seed":0,"format":2,"checked_shape":"1024x1024"}')
    held |= {"rounds": rounds, "other": other}
    filled = [
        pa.nulls(len(which), one.type) if held.get(one.name) is None else cast(held[one.name], one.type)
        for one in columns.ROWS
    ]
    return pa.table(filled, schema=columns.ROWS)


def cast(values: Any, kind: pa.DataType) -> pa.Array:
    """Values as a column of a type."""
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


def rounds_of(seconds: Any, ceiling: Any, batch: Any) -> pa.Array:
    """The column of rounds."""
    total = seconds.size
    flat = pa.ListArray.from_arrays(np.arange(total + 1, dtype=np.int32) * SAMPLES, pa.array(batch))
    numbers = np.tile(np.arange(1, ROUNDS + 1), len(seconds))
    held = {"number": numbers, "position": numbers, "calls": np.full(total, 3), "seconds": seconds.ravel()}
    held |= {
        "ceiling": ceiling.ravel(),
        "samples": flat,
        "busy": pa.array([""], pa.string()).take(pa.array(np.zeros(total, int))),
    }
    fields = list(columns.ROUND)
    arrays = [pa.array(held[one.name], one.type) if one.name in held else pa.nulls(total, one.type) for one in fields]
    return pa.ListArray.from_arrays(
        np.arange(len(seconds) + 1, dtype=np.int32) * ROUNDS, pa.StructArray.from_arrays(arrays, fields=fields)
    )


@app.command()
def generate(
    folder: Folder, machines: Count = 5, commits: Count = 2000, series_: Annotated[int, typer.Option("--series")] = 2000
) -> None:
    """Write the partitions that are missing."""
    names, dates = series(series_), [NEWEST - pd.Timedelta(days=commits - place) for place in range(commits)]
    by_month: dict[str, list[int]] = {}
    for place, date in enumerate(dates):
        by_month.setdefault(f"{date:%Y-%m}", []).append(place)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "format.json").write_text('{"version": 1}')
    for machine in range(machines):
        for month, some in by_month.items():
            if not (folder / f"machine=m{machine}/month={month}/partition.json").exists():
                write(Archive(folder), names, machine, month, some, dates)
                print(f"m{machine} {month}", flush=True)


def write(archive: Archive, names: pd.DataFrame, machine: int, month: str, some: list[int], dates: list[Any]) -> None:
    """One partition."""
    run = [{"env": ENV, "commit": f"{place:08x}"} for place in some]
    about = [
        one | columns._keyed(f"night{place:06d}", {"session": f"night{place:06d}", "grid": "full", "seconds": 3e3}, 1)
        for one, place in zip(run, some, strict=True)
    ]
    tables = {
        "rows": rows(names, machine, some, dates),
        "runs": columns.as_table(
            "runs", [one | {"digest": "x", "date": dates[p]} for one, p in zip(run, some, strict=True)]
        ),
        "sessions": columns.as_table("sessions", about),
    }
    archive.put(f"m{machine}", month, tables, {f"{one['commit']}-{ENV}": "x" for one in run})


def timed(what: Callable[[], Any], repeats: int = 1) -> float:
    """Seconds: the median of some calls."""
    taken = []
    for _ in range(repeats):
        began = perf_counter()
        what()
        taken.append(perf_counter() - began)
    return statistics.median(taken)


def site(*options: str) -> Callable[[], Any]:
    """A build of the site in a process of its own."""
    return lambda: subprocess.run(
        [sys.executable, "-m", "reports", "site", *options], check=True, stdout=subprocess.DEVNULL
    )


@app.command()
def measure(folder: Folder) -> None:
    """Print what each use costs beside the bar."""
    archive, queries = Archive(folder), Queries(Archive(folder))
    total = queries.frame("SELECT count(*) AS n, min(row) AS row, max(date) AS last FROM rows").iloc[0]
    print(f"{total['n']:,} rows", flush=True)
    samples, others = sizes(archive)
    print(f"bytes per row without samples: {others / total['n']:.0f} (bar 120)")
    print(f"bytes per row with samples: {(samples + others) / total['n']:.0f} (bar 500)")
    sql = "SELECT date, value, low, high FROM rows WHERE machine = 'm0' AND row = ? ORDER BY date"
    print(f"one series: {timed(lambda: queries.frame(sql, [total['row']]), 5):.3f} s (bar 0.2)", flush=True)
    out = Path(tempfile.mkdtemp()) / "site"
    print(
        f"full site, change points included: {timed(site('--archive', str(folder), '--out', str(out))):.0f} s (bar 180)"
    )
    print(f"  memory {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20:.2f} GiB (bar 4)", flush=True)
    since, sql = total["last"] - pd.Timedelta(days=30), "SELECT * FROM changes WHERE machine = 'm0' AND date > ?"
    print(f"changes of 30 days: {timed(lambda: Queries(archive).frame(sql, [since]), 3):.3f} s (bar 1)", flush=True)
    print(f"one more night added: {timed(night(archive, out.parent / 'results')):.1f} s")
    print(
        f"  and the site: {timed(site('--archive', str(folder), '--out', str(out))):.1f} s (bar 20 in all)", flush=True
    )
    shutil.rmtree(Path(".asv/record"), ignore_errors=True)
    print(f"the committed record, cold: {timed(site('--out', str(out.parent / 'committed'))):.1f} s (bar 15)")
    shutil.rmtree(out.parent)


def sizes(archive: Archive) -> tuple[int, int]:
    """The bytes of rounds' samples and of everything else in the files of rows."""
    samples = others = 0
    for path in archive.paths("rows"):
        found = pq.ParquetFile(path).metadata
        for group in range(found.num_row_groups):
            for place in range(found.num_columns):
                one = found.row_group(group).column(place)
                inside = one.path_in_schema.startswith(("rounds", "samples"))
                samples, others = (
                    (samples + one.total_compressed_size, others)
                    if inside
                    else (samples, others + one.total_compressed_size)
                )
        others += found.serialized_size
    return samples, others


def night(archive: Archive, results: Path) -> Callable[[], Any]:
    """Add a session of every series of machine m0, from its files."""
    stem, newest = f"ffffffff-{ENV}", [one for one in archive.partitions if one.machine == "m0"][-1]
    table = archive.table("rows", newest)
    last = table.filter(pa.compute.equal(table["commit"], pa.compute.max(table["commit"]))).to_pylist()
    (results / "m0").mkdir(parents=True)
    lines = [columns.record_of(row) | {"session": "night999999", "started_at": f"{NEWEST:%Y-%m-%d}"} for row in last]
    (results / "m0" / f"{stem}.rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return lambda: archive.add(changed(archive, results)[0][1:])


if __name__ == "__main__":
    app()
