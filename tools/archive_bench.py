"""`make archive-bench`: a synthetic archive of 5 machines x 2,000 commits x 2,000 series, and what using it costs.

    python tools/archive_bench.py generate FOLDER    writes partitions until it is whole; continues where it was stopped
    python tools/archive_bench.py measure FOLDER     prints the table of costs
    python tools/archive_bench.py curve FOLDER       prints what a night costs after 100 to 10,000 commits

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
from reports.record.archive import VERSION, Archive
from reports.record.mirror import changed
from reports.record.query import Queries
from reports.record.retention import QUANTILES
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


def rows(
    names: pd.DataFrame, machine: int, commits: list[int], dates: list[pd.Timestamp], whole: bool = True
) -> pa.Table:
    """The rows of some commits of a machine: noise of 1 to 5 %, and a step of 20 % in every fifth series.

    Unless they are `whole`, their samples are quantiles.
    """
    count, times = len(names), len(commits)
    chance = np.random.default_rng([machine, commits[0]])
    which = np.repeat(np.arange(count), times)
    place = np.tile(np.array(commits), count)
    stepped = ((which % 10 == machine) & (place > 900)) | ((which % 10 == 9) & (place > len(dates) - 16))
    level = 1e-5 * (1 + which % 977) * np.where(stepped, 1.2, 1.0)
    noise = 0.01 + 0.04 * (which % 7) / 6
    seconds = level[:, None] * np.exp(noise[:, None] * chance.standard_normal((len(which), ROUNDS)))
    value, spread = np.exp(np.log(seconds).mean(axis=1)), 1 + 1.2 * noise
    ceiling = 4e10 * np.exp(0.02 * chance.standard_normal((len(which), ROUNDS)))
    share = 1e5 / value / ceiling.mean(axis=1)
    batch = seconds.repeat(SAMPLES).reshape(-1) * np.exp(0.01 * chance.standard_normal(seconds.size * SAMPLES))
    digits = 10.0 ** (4 - np.floor(np.log10(batch)))
    batch = np.rint(batch * digits) / digits  # samples are stored with five digits
    started = [dates[commit] for commit in commits]

    def text(value: str) -> pa.Array:
        return pa.array([value], pa.string()).take(pa.array(np.zeros(len(which), int)))

    named = ("row", "benchmark", "params", *columns.IDENTITY)
    held: dict[str, Any] = {name: pa.array(names[name].tolist()).take(pa.array(which)) for name in named}
    held |= {"commit": [f"{one:08x}" for one in place], "session": [f"night{one:06d}" for one in place]}
    held |= {"env": text(ENV), "status": text("ok"), "reason": text("")}
    held |= {"verdict": text("ok"), "busy": text(""), "ceiling_name": text("copy"), "level": text("memory")}
    held |= {"version": text("1"), "python": text("3.11"), "manifest": text("synthetic")}
    held |= {"value": value, "low": value / spread, "high": value * spread, "share": share}
    held |= {"share_low": share / spread, "share_high": share * spread, "ceiling": ceiling.mean(axis=1)}
    held |= dict.fromkeys(("traffic", "peak_bytes", "saved_bytes"), 1000.0 + which)
    held |= {name: 1e-7 * (1 + which % 13) for name in columns.AGREEMENT if name != "verdict"}
    held |= {"number": np.full(len(which), 3.0), "threads": np.full(len(which), 2.0), "line": which + 1}
    held |= {"date": np.array(started * count), "started_at": np.array(started * count)}
    rounds = rounds_of(seconds, ceiling, batch if whole else None)
    other = text('{"options":{},"maker":"normal","seed":0,"format":2,"checked_shape":"1024x1024"}')
    held |= {"rounds": rounds, "other": other}
    held |= {} if whole else {"quantiles": quantiles(batch.reshape(len(which), -1))}
    filled = [
        pa.nulls(len(which), one.type) if held.get(one.name) is None else cast(held[one.name], one.type)
        for one in columns.ROWS
    ]
    return pa.table(filled, schema=columns.ROWS)


def cast(values: Any, kind: pa.DataType) -> pa.Array:
    """Values as a column of a type."""
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


def quantiles(batch: Any) -> pa.Array:
    """The column of quantiles."""
    found = np.quantile(batch, QUANTILES, axis=1).T
    return pa.ListArray.from_arrays(np.arange(len(found) + 1, dtype=np.int32) * len(QUANTILES), pa.array(found.ravel()))


def rounds_of(seconds: Any, ceiling: Any, batch: Any) -> pa.Array:
    """The column of rounds, without samples if there is no `batch`."""
    total = seconds.size
    numbers = np.tile(np.arange(1, ROUNDS + 1), len(seconds))
    held = {"number": numbers, "position": numbers, "calls": np.full(total, 3), "seconds": seconds.ravel()}
    held |= {
        "ceiling": ceiling.ravel(),
        "busy": pa.array([""], pa.string()).take(pa.array(np.zeros(total, int))),
    }
    if batch is not None:
        held["samples"] = pa.ListArray.from_arrays(np.arange(total + 1, dtype=np.int32) * SAMPLES, pa.array(batch))
    fields = list(columns.ROUND)
    arrays = [pa.array(held[one.name], one.type) if one.name in held else pa.nulls(total, one.type) for one in fields]
    return pa.ListArray.from_arrays(
        np.arange(len(seconds) + 1, dtype=np.int32) * ROUNDS, pa.StructArray.from_arrays(arrays, fields=fields)
    )


@app.command()
def generate(
    folder: Folder,
    machines: Annotated[int, typer.Option(min=1)] = 5,
    commits: Count = 2000,
    series_: Annotated[int, typer.Option("--series")] = 2000,
    keep: Annotated[int, typer.Option(help="The newest months keep their samples, others are compacted.")] = 1000,
) -> None:
    """Write the partitions that are missing."""
    names, dates = series(series_), [NEWEST - pd.Timedelta(days=commits - place) for place in range(commits)]
    by_month: dict[str, list[int]] = {}
    for place, date in enumerate(dates):
        by_month.setdefault(f"{date:%Y-%m}", []).append(place)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "format.json").write_text(json.dumps({"version": VERSION}))
    for machine in range(machines):
        for age, (month, some) in enumerate(reversed(by_month.items())):
            if not (folder / f"machine=m{machine}/month={month}/partition.json").exists():
                write(Archive(folder), rows(names, machine, some, dates, age < keep), machine, month, some, dates)
                print(f"m{machine} {month}", file=sys.stderr, flush=True)


def write(archive: Archive, table: pa.Table, machine: int, month: str, some: list[int], dates: list[Any]) -> None:
    """One partition."""
    run = [{"env": ENV, "commit": f"{place:08x}"} for place in some]
    about = [
        one | columns._keyed(f"night{place:06d}", {"session": f"night{place:06d}", "grid": "full", "seconds": 3e3}, 1)
        for one, place in zip(run, some, strict=True)
    ]
    tables = {
        "rows": table,
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


def line(what: str, cost: str, bar: str) -> None:
    """Print a line of the table."""
    print(f"| {what} | {cost} | {bar} |", flush=True)


@app.command()
def measure(folder: Folder) -> None:
    """Print what each use costs beside the bar, as a Markdown table."""
    archive, queries = Archive(folder), Queries(Archive(folder))
    total = queries.frame("SELECT count(*) AS n, min(row) AS row, max(date) AS last FROM rows").iloc[0]
    print(f"| {total['n']:,} rows | cost | bar |\n|---|---|---|", flush=True)
    without, whole = sizes(archive)
    line("bytes per row without samples", f"{without:.0f}", "120")
    line("bytes per row with samples", f"{whole:.0f}", "500")
    sql = "SELECT date, value, low, high FROM rows WHERE machine = 'm0' AND row = ? ORDER BY date"
    line("query for one series", f"{timed(lambda: queries.frame(sql, [total['row']]), 5):.3f} s", "0.2 s")
    out = Path(tempfile.mkdtemp()) / "site"
    build = site("--archive", str(folder), "--out", str(out))
    line("full site, change points included", f"{timed(build):.0f} s", "180 s")
    line("largest process", f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20:.2f} GiB", "4 GiB")
    since, sql = total["last"] - pd.Timedelta(days=30), "SELECT * FROM changes WHERE machine = 'm0' AND date > ?"
    count = len(Queries(archive).frame(sql, [since]))
    line(
        f"{count} changes of the last 30 days", f"{timed(lambda: Queries(archive).frame(sql, [since]), 3):.3f} s", "1 s"
    )
    added, after = timed(night(archive, out.parent / "results")), timed(build)
    line("one new night: its rows added, and the site", f"{added:.1f} + {after:.1f} s", "20 s")
    line("the same site again", f"{timed(build):.1f} s", "")
    for derived in ("record", "figures"):
        shutil.rmtree(Path(".asv") / derived, ignore_errors=True)
    line("the committed record, cold", f"{timed(site('--out', str(out.parent / 'committed'))):.1f} s", "15 s")
    shutil.rmtree(out.parent)


@app.command()
def curve(folder: Folder, series_: Annotated[int, typer.Option("--series")] = 200) -> None:
    """Print what a night costs after so many commits of one machine, as a Markdown table."""
    print("| commits | night added | the site after it |\n|---|---|---|", flush=True)
    for commits in (100, 1000, 3000, 10_000):
        part = folder / str(commits)
        generate(part, 1, commits, series_, 0)
        with tempfile.TemporaryDirectory() as out:
            build = site("--archive", str(part), "--out", f"{out}/site")
            build()
            added, after = timed(night(Archive(part), Path(out) / "results")), timed(build)
        line(f"{commits:,}", f"{added:.2f} s", f"{after:.1f} s")
        shutil.rmtree(part)


def sizes(archive: Archive) -> tuple[float, float]:
    """Bytes per row of the partitions that have samples, without these and with them."""
    found = dict.fromkeys(("rows", "rounds", "samples"), 0)
    count = 0
    for path in archive.paths("rows"):
        held = pq.ParquetFile(path).metadata
        if "samples" in (parts := parts_of(held)) and parts["samples"] > held.num_rows:  # else compacted
            found = {name: size + parts[name] for name, size in found.items()}
            count += held.num_rows
    rows, rounds, samples = (size / count for size in found.values())
    return rows + rounds, rows + rounds + samples


def parts_of(held: pq.FileMetaData) -> dict[str, int]:
    """The bytes of a file of rows by what they hold."""
    found = {"rows": held.serialized_size, "rounds": 0, "samples": 0}
    for group in map(held.row_group, range(held.num_row_groups)):
        for one in map(group.column, range(held.num_columns)):
            path = one.path_in_schema
            part = "samples" if "samples" in path else "rounds" if path.startswith("rounds") else "rows"
            found[part] += one.total_compressed_size
    return found


def night(archive: Archive, results: Path) -> Callable[[], Any]:
    """Add a session of every series of machine m0, from its files."""
    stem, newest = f"ffffffff-{ENV}", [one for one in archive.partitions if one.machine == "m0"][-1]
    table = archive.table("rows", newest)
    last = table.filter(pa.compute.equal(table["commit"], pa.compute.max(table["commit"]))).to_pylist()
    (results / "m0").mkdir(parents=True)
    lines = [columns.record_of(row) | {"session": "night999999", "started_at": f"{NEWEST:%Y-%m-%d}"} for row in last]
    (results / "m0" / f"{stem}.rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    about = {"session": "night999999", "grid": "full", "began_at": f"{NEWEST:%Y-%m-%d}", "seconds": 3e3}
    (results / "m0" / f"{stem}.sessions.jsonl").write_text(json.dumps(about) + "\n")
    return lambda: archive.add(changed(archive, results)[0][1:])


if __name__ == "__main__":
    app()
