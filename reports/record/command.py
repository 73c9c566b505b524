"""`python -m reports record`: the archive of everything measured, and where all machines keep their results.

Exit codes of pull and push: 0 done; 1 the remote cannot be reached or refuses, and the rows go with the next push; 2 a
wrong setting; 3 a person must decide, since the remote was rewritten or holds a newer version. Rows
here are always kept.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from reports.record import transfer
from reports.record.archive import Archive
from reports.record.mirror import changed
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
There = Annotated[
    str,
    typer.Option(
        "--remote",
        help="Where all machines keep their results: a git remote and a branch, or a folder.",
        envvar="LOSSIMPL_RESULTS",
        show_default=True,
    ),
]
Decision = Annotated[
    transfer.Rewritten | None,
    typer.Option(help="Of a remote that was rewritten: restore what it lost, or accept it as it is."),
]


@record.command()
def pull(results: Results = Path("results"), there: There = transfer.DEFAULT, rewritten: Decision = None) -> None:
    """Bring the results of all machines here; what only this folder has stays."""
    changed = _transferred(lambda: transfer.pull(transfer.remote(there, Path.cwd()), results, rewritten))
    typer.echo(f"{changed} files new or longer in {results}")


@record.command()
def push(results: Results = Path("results"), there: There = transfer.DEFAULT, rewritten: Decision = None) -> None:
    """Send what is new here, and what earlier pushes could not send."""
    changed = _transferred(lambda: transfer.push(transfer.remote(there, Path.cwd()), results, rewritten))
    typer.echo(f"{changed} files sent to {there}")


def _transferred(work: Callable[[], int]) -> int:
    """The result, or one line and the documented exit code."""
    try:
        return work()
    except (transfer.Unsent, transfer.Undecided) as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(1 if isinstance(failure, transfer.Unsent) else 3) from None
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--remote") from None


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
