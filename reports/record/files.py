"""The bytes of a stored file, with a bound on their number: a file may be broken, packed, huge, or no file at all."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from reports.record.formats import require

MOST_BYTES = 64 * 2**20  # of a file, unpacked; a session of 2,000 rows has 8 MiB
MOST_LINE = 4 * 2**20  # of a line or of a whole JSON value; asv's largest file has 1 MiB


def whole(path: Path, most: int = 8 * MOST_LINE) -> bytes:
    """The unpacked bytes of a file; a longer one raises `Malformed` before it is in memory."""
    with _opened(path) as file:
        held: bytes = file.read(most + 1)
    require(len(held) <= most, f"is larger than {most // 2**20} MiB, unpacked")
    return held


def lines(path: Path) -> list[bytes]:
    """The lines of a file without their ends."""
    found = whole(path, MOST_BYTES).split(b"\n")
    require(max(map(len, found)) <= MOST_LINE, f"has a line of more than {MOST_LINE // 2**20} MiB")
    return found


def _opened(path: Path) -> Any:
    require(not path.is_symlink(), "is a symbolic link, which is not followed")
    require(path.is_file() or path.is_dir() or not path.exists(), "is no regular file")
    if path.suffix == ".gz":
        return gzip.open(path)
    return _zstd(path) if path.suffix == ".zst" else path.open("rb")


def _zstd(path: Path) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
