"""`python -m reports COMMAND`. Each command imports its own file when it runs, so that none can break another."""

from __future__ import annotations

import importlib
import sys

import typer

from lossimpl import terminal

COMMANDS = {  # name: module that has a function of that name, summary
    "site": ("reports.site.build", "Build the static site from results/."),
    "sweep": ("reports.sweep.command", "Run the benchmarks through asv."),
    "gate": ("reports.gate.command", "Compare two revisions."),
    "loaders": ("reports.loaders", "Measure how well the search for loader settings works."),
    "nightly": ("reports.nightly.command", "Measure new commits and look for changes."),
    "record": ("reports.record.command", "The archive of everything measured: add, check, query, compact."),
    "forge": ("reports.forge.command", "Comments on pull requests and issues, through the forge's REST API."),
    "figure": ("reports.site.figure", "Write README's picture from results/."),
    "readme": ("reports.site.readme", "Write README's results from results/."),
}


def main(arguments: list[str]) -> None:
    """Run the command named first; without one, or with --help, list them."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("Usage: python -m reports COMMAND [OPTIONS]\n")
        for name, (_, what) in COMMANDS.items():
            print(f"  {name:8} {what}")
        return
    name = arguments[0]
    if name not in COMMANDS:
        print(f"command: {name!r} is unknown; one of {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    try:
        command = getattr(importlib.import_module(COMMANDS[name][0]), name)
        app = command if isinstance(command, typer.Typer) else typer.Typer(add_completion=False)
        if app is not command:
            app.command()(command)
        app(args=arguments[1:], prog_name=f"python -m reports {name}")
    except ModuleNotFoundError as missing:  # a machine that brings its own torch may bring nothing else
        wants = f"{missing.name} is not installed for {sys.executable}; the extra `report` of pyproject.toml brings it"
        terminal.leave(f"reports {name}: {wants}", 2)


if __name__ == "__main__":
    terminal.run("reports", lambda: main(sys.argv[1:]))
