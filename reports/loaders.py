"""`python -m reports loaders`: how well the search for loader settings works on this machine."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

RECORD = "loaders-selftest.json"


def loaders(
    dataset: Annotated[list[str] | None, typer.Option(help="A built-in dataset; repeat for several.")] = None,
    seconds: Annotated[float, typer.Option(help="Measuring time per setting of the full product.", min=0.1)] = 1.5,
    results: Annotated[Path, typer.Option(help="The results folder, where the record is kept.")] = Path("results"),
) -> None:
    """Compare the search with measuring all combinations, and measure what the drive loop adds to an epoch."""
    from lossimpl.environment import manifest
    from lossimpl.loading.search.selftest import self_test
    from lossimpl.machine import name

    record = {
        "commit": str(manifest()["revision"])[:12],
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds_for_a_setting": seconds,
        **self_test(dataset or ["photographs", "digits"], seconds, lambda what: print(what, file=sys.stderr)),
    }
    path = results / name() / RECORD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
