"""`lossimpl`: the command line, one file per command under `lossimpl/commands/`; only what needs torch imports it.

Nothing heavy is imported before `terminal.run`, which ends a Ctrl-C in one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossimpl import terminal

if TYPE_CHECKING:
    import typer


def assemble() -> typer.Typer:
    """The program with every command: `commands/NAME.py` holds the function `NAME` (`list_` for the word `list`)."""
    import importlib
    import pkgutil

    import typer

    from lossimpl import commands

    app = typer.Typer(
        help="Which loss implementation, which DataLoader settings, and did this change make any of it worse?",
        epilog=terminal.EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
    )
    option = typer.Option(False, "--version", is_eager=True, callback=show_version, help="Print the version and exit.")
    app.callback()(lambda version=option: None)
    for found in sorted(pkgutil.iter_modules(commands.__path__), key=lambda found: found.name):
        name = found.name.rstrip("_")
        app.command(name)(getattr(importlib.import_module(f"lossimpl.commands.{found.name}"), found.name))
    return app


def show_version(wanted: bool) -> None:
    """The version, and the end of the command, if it was asked for."""
    if wanted:
        import lossimpl

        print(lossimpl.__version__)
        raise SystemExit


def main() -> None:
    """Entry point of the `lossimpl` script."""
    terminal.run("lossimpl", lambda: assemble()())


if __name__ == "__main__":
    main()
