"""`python -m reports record add|check|query|compact`: the archive of everything measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reports.record.archive import Archive, changed
from reports.record.query import Queries
from reports.record.reader import read_unit
from reports.record.retention import compact as compacted
from reports.record.unpack import differences, held, unpacked

ARCHIVE = ".asv/record"  # derived from results/, and never committed
record = typer.Typer(add_completion=False, no_args_is_help=True, help="The archive of everything measured.")
Results = Annotated[Path, typer.Option(help="asv's results folder, with our side-cars.")]
Where = Annotated[
    str, typer.Option(help="The archive: a folder, or s3://bucket/path.", envvar="LOSSIMPL_ARCHIVE", show_default=True)
]


@record.command()
def add(results: Results = Path("results"), archive: Where = ARCHIVE) -> None:
    """Put what the archive lacks of a results folder into it; what only the archive has stays."""
    where = Archive(archive)
    new, _, problems = changed(where, results)
    rewritten = where.add(new)
    for problem in problems:
        typer.echo(f"not read: {problem}", err=True)
    typer.echo(f"{len(new)} units added, {len(rewritten)} partitions written: {archive}")


@record.command()
def check(results: Results = Path("results"), archive: Where = ARCHIVE) -> None:
    """Compare the archive with the files that it was made from, field by field; exit 1 if anything differs.

    Prints every part of the record that could not be read.
    """
    where = Archive(archive)
    new, gone, problems = changed(where, results)
    known = {(unit.machine, unit.stem) for unit, _ in new}
    found = [f"{unit.machine}/{unit.stem}: not in the archive, or older there" for unit, _ in new]
    found += [f"{machine}/{stem}: only in the archive" for machine, stem in sorted(gone)]
    found += _compared(where, results, known)
    for problem in (*problems, *Queries(where).problems()):
        typer.echo(f"not read: {problem}", err=True)
    typer.echo("\n".join(found or ["the archive holds what the files hold"]))
    raise typer.Exit(bool(found))


def _compared(archive: Archive, results: Path, skipped: set[tuple[str, str]]) -> list[str]:
    from reports.record.units import units

    found = []
    files = {(unit.machine, unit.stem): unit for unit in units(results)[0]}
    for partition in archive.partitions:
        for stem, stored in unpacked(archive, partition).items():
            key = (partition.machine, stem)
            if key in files and key not in skipped:
                now = held(read_unit(files[key]))
                found += [f"{partition.machine}/{stem}: {where}" for where in differences(stored, now)]
    return found


@record.command()
def query(
    sql: Annotated[str, typer.Argument(help="A query of rows, sessions, runs, manifest, conformance, loaders, ...")],
    archive: Where = ARCHIVE,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, not a table.")] = False,
) -> None:
    """Print the answer to a question in SQL."""
    import duckdb

    try:
        found = Queries(Archive(archive)).connection.execute(sql)
    except duckdb.Error as error:
        raise typer.BadParameter(str(error), param_hint="SQL") from error
    typer.echo(found.df().to_csv(index=False) if csv else str(found.fetchdf().to_string(index=False)))


@record.command()
def compact(
    months: Annotated[
        int, typer.Option(help="Samples of commits older than so many months are compacted.", min=1)
    ] = 12,
    archive: Where = ARCHIVE,
) -> None:
    """Replace the samples of old sessions by their quantiles; rounds, times and intervals stay as they are."""
    done = compacted(Archive(archive), months)
    typer.echo(f"{len(done)} partitions compacted: {archive}")
