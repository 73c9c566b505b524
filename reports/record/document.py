"""docs/record.md: every field of every record, from the schema; `python -m reports.record.document` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reports.record import documents, lists, schema
from reports.record.schema import Fields

PAGE = Path(__file__).parents[2] / "docs" / "record.md"
PARTS: tuple[tuple[str, str, Fields], ...] = (
    ("Rows", "`<hash8>-<env>.rows.jsonl`: one per row and session; format 1 has no rounds.", schema.ROW),
    ("Rounds", "The objects in `rounds` of a row.", schema.ROUND),
    ("Agreement", "The object `agreement` of a row.", schema.AGREEMENT),
    ("Loaders", "`<hash8>-<env>.loaders.jsonl`, and rows of the benchmark `loading`.", schema.LOADER),
    ("Sessions", "`<hash8>-<env>.sessions.jsonl`.", schema.SESSION_LINE),
    ("Manifests", "`<hash8>-<env>.manifest.jsonl`: one environment per line.", schema.MANIFEST),
    ("Hard cases", "`<hash8>-<env>.conformance.jsonl.gz`.", schema.CONFORMANCE),
    ("Nights", "`changes.jsonl` of a machine: what each night reported.", schema.NIGHT),
    ("Health", "`nightly.jsonl` of a machine: what each night planned, and what became of it.", schema.NIGHTLY),
    ("Machine", "`machine.json`, which asv writes.", documents.MACHINE),
    ("Self-test of sessions", "`sweep-selftest.json`.", documents.SWEEP_TEST),
    ("Replayed rows", "`replay.json`, of `lossimpl replay --all --json`.", documents.REPLAYED),
    ("Verdicts on replayed rows", "The objects in `rows` of it.", documents.REPLAYED_ROW),
    ("Self-test of the gate", "`gate-selftest.json`; other fields are shown as they are.", documents.GATE_TEST),
    ("Self-test of the loaders", "`loaders-selftest.json`.", documents.LOADER_TEST),
    ("Searches", "The objects in `search` of the loaders' self-test.", documents.SEARCHED),
    ("Overheads", "The objects in `overhead` of the loaders' self-test.", documents.ADDED),
    ("Mutants", "`docs/mutants.jsonl`, of `lossimpl check --mutants`.", lists.MUTANT),
    ("Ways of calling", "`docs/ways.jsonl`, of `lossimpl check --ways`.", lists.WAY),
    ("Claims", "`docs/claims.jsonl`, of `lossimpl claims`.", lists.CLAIM),
    ("Findings", "The objects in `findings` of a claim.", lists.FINDING),
)  # fmt: skip
HEAD = """# The record

Everything measured lies in `results/<machine>/`, in the files below; `tests/reports/samples` has a real one of most
kinds. asv's own file, `<hash8>-<env>.json`, is of asv's format 2. Each reader refuses what its table does not allow,
names file, line and field on the page of data problems, and goes on. A record in an unknown version is refused; a field
that is not listed is kept, named once per file, and not shown. Times may lie one day ahead, and no row may be older
than its commit or its session. A side-car may be packed as `.gz` or `.zst`.

Every row has an id, by which `lossimpl replay` finds it: the first 12 hexadecimal digits of the SHA-256 of its machine,
commit, session, case and implementation as canonical JSON. Rows carry it with a checksum of all their fields; older
rows lack both, are read all the same, and count as unverified. `tests/test_identity.py` shows what either depends on.

The archive (`python -m reports record`) holds the same as Parquet, one partition per machine and month of the commit,
and gives every record back field by field (`record check`). It is derived: delete it and it is built again. By default
it lies in `.asv/record`; `LOSSIMPL_ARCHIVE` or `--archive` name another folder or `s3://bucket/path`. Writers of one
partition wait for each other in a folder. Object storage has no locks: a writer reads its index back and repeats, and
what a race still lost is added by the next `record add` of that machine.

Pages read `summary`, which counts what each session has, and `derived/states-<machine>.parquet`, the change points and
newest points of each series after each of the newest three months; both follow from the rows. So a new night costs one
partition, one month of change points, and the pages whose data changed: [what that takes](archive.md).

`record compact --months N` replaces the samples of commits older than N months by their quantiles. Rounds stay, and
with them every time, interval and verdict.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_part(*one) for one in PARTS)])


def _part(title: str, what: str, fields: Fields) -> str:
    lines = "\n".join(_lines(fields))
    return f"## {title}\n\n{what}\n\n| field | holds | meaning |\n|---|---|---|\n{lines}\n"


def _lines(fields: Fields) -> Iterator[str]:
    for name, (kind, what, needed) in fields.items():
        yield f"| `{name}`{' (required)' if needed else ''} | {kind.words} | {what} |"


if __name__ == "__main__":
    PAGE.write_text(page())
