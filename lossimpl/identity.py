"""Which row is this, and is it as it was written? An id of what identifies a row, and a checksum of all that it holds.

Both are digests of canonical JSON: the same values give the same digest, whatever their order and white space. The id
stays the same when a row is read, packed or shown elsewhere; the checksum changes with any value of the row. Whoever
changes a row can compute both anew: they find accidents and edits by hand, and are no signature.

Pure.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

PLACE = ("machine", "commit", "session")
CASE = ("benchmark", "params", "loss", "shape", "dtype", "device", "mode", "options", "maker", "seed")
HASH = 8  # digits of a commit in the names of result files


def digest(content: Any, digits: int = 12) -> str:
    """Hexadecimal digits that identify a JSON value.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
    True
    """
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:digits]


def row_id(record: Mapping[str, Any]) -> str:
    """The id of a row: a digest of its machine, commit, session, case and implementation.

    >>> row = {"machine": "m", "commit": "0123456789ab", "session": "s", "loss": "mse_loss", "implementation": "torch"}
    >>> row_id(row) == row_id(row | {"commit": "01234567", "reason": "?"}) != row_id(row | {"session": "t"})
    True
    """
    known = {name: record[name] for name in (*PLACE, *CASE, "implementation") if name in record}
    return digest(known | {"commit": str(record.get("commit", ""))[:HASH]})


def checksum(record: Mapping[str, Any]) -> str:
    """The digest of everything that a row holds but its checksum."""
    return digest({name: value for name, value in record.items() if name != "checksum"}, 16)


def identified(record: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its id and its checksum; it must have its machine and commit.

    >>> fault(identified({"machine": "m", "commit": "0123", "loss": "mse_loss"}))
    ''
    """
    found = {**record, "id": row_id(record)}
    return found | {"checksum": checksum(found)}


def fault(record: Mapping[str, Any]) -> str:
    """How a row differs from what was written, or the empty string; nothing is known of one without a checksum.

    >>> fault(identified({"machine": "m", "seconds": 1.0}) | {"seconds": 0.9})
    'checksum: the row was changed after it was written: its values give 6bf07e02844b0f3e, it says bd8b28951b46b55f'
    """
    if "checksum" not in record:
        return ""
    if (found := checksum(record)) != record["checksum"]:
        said = str(record["checksum"])[:16]
        return f"checksum: the row was changed after it was written: its values give {found}, it says {said}"
    if (found := row_id(record)) != record.get("id"):
        return f"id: the row was changed after it was written: what identifies it gives {found}"
    return ""


def new_session() -> str:
    """The id of a session that begins now."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
