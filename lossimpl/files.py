"""The bytes of a stored file, with a bound on their number: a file may be broken, packed, huge, or no file at all.

Every stored result is opened here, by `lossimpl replay` and by the record of `reports` alike.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

MOST_BYTES = 64 * 2**20  # of a file, unpacked; a session of 2,000 rows has 8 MiB
MOST_LINE = 4 * 2**20  # of a line or of a whole JSON value; asv's largest file has 1 MiB


class Unreadable(ValueError):
    """A file that is too large, or none."""


def whole(path: Path, most: int = 8 * MOST_LINE) -> bytes:
    """The unpacked bytes of a file; a longer one raises `Unreadable` before it is in memory.

    >>> whole(Path("no-such-file"))
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no-such-file'
    """
    with _opened(path) as file:
        held: bytes = file.read(most + 1)
    _require(len(held) <= most, f"is larger than {most // 2**20} MiB, unpacked")
    return held


def lines(path: Path) -> list[bytes]:
    """The lines of a file without their ends."""
    found = whole(path, MOST_BYTES).split(b"\n")
    _require(max(map(len, found)) <= MOST_LINE, f"has a line of more than {MOST_LINE // 2**20} MiB")
    return found


def _opened(path: Path) -> Any:
    _require(not path.is_symlink(), "is a symbolic link, which is not followed")
    _require(path.is_file() or path.is_dir() or not path.exists(), "is no regular file")
    if path.suffix == ".gz":
        return gzip.open(path)
    return _zstd(path) if path.suffix == ".zst" else path.open("rb")


def _zstd(path: Path) -> Any:
    import pyarrow as pa  # of the extra `report`, which writes such files

    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")


def _require(condition: object, what: str) -> None:
    if not condition:
        raise Unreadable(what)
