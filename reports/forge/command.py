"""`python -m reports forge comment|issues|approve`: what the jobs of the forge run with its token.

Exit codes: 0 done; 1 the forge refused or did not answer; 2 the report, the event or the commit is not what it should
be.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from reports.forge import approval
from reports.forge.artifact import Refused
from reports.forge.client import FAILURES, Forge, ForgeFailed, reason
from reports.forge.comment import event, post
from reports.forge.issues import update, worse
from reports.record.stored import Stored

forge = typer.Typer(add_completion=False, no_args_is_help=True, help="Comments and issues on the forge.")


@forge.command()
def comment(
    report: Annotated[Path, typer.Argument(help="The folder of the gate's report, as it was uploaded.")],
) -> None:
    """Bring the comment on the pull request of a finished run up to date."""

    def work() -> str:
        head, address = event()
        return post(Forge.of_job(), report, head, address)

    _reported(work)


@forge.command()
def issues(results: Annotated[Path, typer.Option(help="The results of all machines.")] = Path("results")) -> None:
    """Open, update and close the issues of what the nights found."""

    def work() -> str:
        stored = Stored.of(results)
        return "\n".join(update(Forge.of_job(), worse(stored.nights, stored.rows)) or ["no issue changed"])

    _reported(work)


@forge.command()
def approve(head: Annotated[str, typer.Argument(help="The commit of a pull request, all 40 digits.")]) -> None:
    """Refuse a commit that no maintainer approved for a machine of our own."""
    _reported(lambda: approval.approve(Forge.of_job(), head))


def _reported(work: Callable[[], str]) -> None:
    """Print what was done, or one line and the documented exit code."""
    try:
        typer.echo(work())
    except Refused as failure:
        typer.echo(f"refused: {failure}", err=True)
        raise typer.Exit(2) from None
    except (ForgeFailed, *FAILURES) as failure:
        typer.echo(str(failure) if isinstance(failure, ForgeFailed) else reason(failure), err=True)
        raise typer.Exit(1) from None
