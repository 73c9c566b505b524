"""`python -m reports gate`: compare two revisions, with the result as exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from reports.gate import render
from reports.gate.draft import Plan
from reports.gate.outcome import UNMEASURED, Outcome
from reports.gate.run import compare

UNITS = {"s": 1, "m": 60, "h": 3600}


def gate(
    base: Annotated[str, typer.Option(help="The revision to compare with.")] = "",
    head: Annotated[str, typer.Option(help="The revision to judge; uncommitted changes are not measured.")] = "HEAD",
    budget: Annotated[
        str,
        typer.Option(help="Measuring time, such as 90s, 15m or 1h, after building."),
    ] = "15m",
    base_with: Annotated[
        str,
        typer.Option(help="Environment of base: packages (numpy==2.1.0), python==3.12, NAME=VALUE."),
    ] = "",
    head_with: Annotated[str, typer.Option(help="Environment of head.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Also rows that the diff cannot affect; of environments, all types and modes.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds after which a row counts as hanging.")] = 180.0,
    as_json: Annotated[Path | None, typer.Option("--json", help="File for everything that was measured.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="File for the comment on a pull request.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for gate.html.")] = None,
    self_test: Annotated[bool, typer.Option("--self-test", help="Measure the gate's own error rates.")] = False,
) -> None:
    """Compare two revisions, or two environments of one.

    Exit codes: 0 all decided and nothing worse; 1 a regression; 2 not measured; 3 undecided.
    """
    if self_test:
        from reports.gate.selftest import self_test as run_self_test

        run_self_test(Path.cwd(), head, seconds_of(budget))
        return
    if not base:
        raise typer.BadParameter("expected a revision to compare with", param_hint="--base")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled job still reports, as after Ctrl-C
    plan = Plan(
        repository=Path.cwd(),
        base=base,
        head=head,
        budget=seconds_of(budget),
        everything=everything,
        silence=timeout,
        seed=_seed(base, head),
        base_with=base_with,
        head_with=head_with,
    )
    with tempfile.TemporaryDirectory(prefix="gate-", ignore_cleanup_errors=True) as folder:
        outcome = compare(plan, Path(folder))
    print(render.markdown(outcome))
    written = _write(outcome, as_json, markdown, out)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):  # a file that the runner shows on the page of the job
        with open(summary, "a", encoding="utf-8") as file:
            file.write(render.markdown(outcome))
    code = outcome.exit_code
    raise typer.Exit(code if written or code else UNMEASURED)


def seconds_of(text: str) -> float:
    """Seconds of a duration such as 90s, 15m or 1h.

    >>> seconds_of("15m"), seconds_of("1.5h")
    (900.0, 5400.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None or float(found[1]) == 0:
        raise typer.BadParameter(f"expected a duration such as 90s, 15m or 1h, got {text!r}", param_hint="--budget")
    return float(found[1]) * UNITS[found[2]]


def _seed(base: str, head: str) -> int:
    """A seed that is the same for repetitions of a comparison."""
    return sum((index + 1) * ord(letter) for index, letter in enumerate(f"{base}..{head}"))


def _write(outcome: Outcome, as_json: Path | None, markdown: Path | None, out: Path | None) -> bool:
    """Write the requested files; the content of one that cannot be written is printed, so that nothing is lost."""
    texts = {as_json: json.dumps(outcome.as_json(), indent=1), markdown: render.markdown(outcome)}
    texts |= {out / "gate.html": render.page(outcome)} if out else {}
    written = True
    for path, text in texts.items():
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            written = False
            print(f"{path}: {error.strerror}; its content follows\n{text}", file=sys.stderr)
    return written
