"""`python -m reports COMMAND`. Each command imports its own file when it runs, so that none can break another."""

from __future__ import annotations

import importlib
import sys

import typer

from lossimpl import terminal

COMMANDS = {
    "site": "Build the static site from results/.",
    "sweep": "Run the benchmarks through asv.",
    "gate": "Compare two revisions.",
    "loaders": "Measure what the search for loader settings promises.",
    "nightly": "Measure new commits and look for changes.",
    "figure": "Write README's picture from results/.",
    "readme": "Write README's table from results/.",
}


def main(arguments: list[str]) -> None:
    """Run the command named first; without one, or with --help, list them."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("Usage: python -m reports COMMAND [OPTIONS]\n")
        for name, what in COMMANDS.items():
            print(f"  {name:8} {what}")
        return
    name = arguments[0]
    if name not in COMMANDS:
        print(f"command: {name!r} is unknown; one of {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    app = typer.Typer(add_completion=False)
    try:
        app.command()(getattr(importlib.import_module(f"reports.{name}"), name))
        app(args=arguments[1:], prog_name=f"python -m reports {name}")
    except ModuleNotFoundError as missing:  # a machine that brings its own torch may bring nothing else
        wants = f"{missing.name} is not installed for {sys.executable}; the extra `report` of pyproject.toml brings it"
        terminal.leave(f"reports {name}: {wants}", 2)


if __name__ == "__main__":
    terminal.run("reports", lambda: main(sys.argv[1:]))
