"""`lossimpl build`: compile the native CPU kernels ahead of their first use."""

from __future__ import annotations

import typer

from lossimpl.spec import Unavailable


def build() -> None:
    """Compile the native CPU kernels ahead of their first use, and print where they are."""
    from lossimpl.kernels.cpp import builder  # torch loads late, so that --help stays quick

    try:
        typer.echo(builder.build())
    except (Unavailable, OSError) as error:
        typer.echo(f"native cannot be built: {error}", err=True)
        raise typer.Exit(1) from error
