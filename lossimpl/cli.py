"""`lossimpl`: the command line, one file a command under `lossimpl/commands/`; only what needs torch imports it."""

from __future__ import annotations

import importlib
import pkgutil

import typer

from lossimpl import commands, terminal

app = typer.Typer(
    help="Which loss implementation, which DataLoader settings, and did this change make any of it worse?",
    epilog=terminal.EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


def assemble() -> None:
    """Register every command: the file `commands/NAME.py` holds the function `NAME` (`list_` for the word `list`)."""
    for found in sorted(pkgutil.iter_modules(commands.__path__), key=lambda found: found.name):
        name = found.name.rstrip("_")
        app.command(name)(getattr(importlib.import_module(f"lossimpl.commands.{found.name}"), found.name))


def main() -> None:
    """Entry point of the `lossimpl` script."""
    assemble()
    terminal.run("lossimpl", app)


if __name__ == "__main__":
    main()
