"""Stored files are opened with a bound on what they unpack to."""

import gzip

import pytest

from lossimpl import files, lookup


def test_a_bomb_is_refused_before_it_is_in_memory(tmp_path):
    """65 MiB of zeros pack into 64 KiB; the bound is 64 MiB."""
    path = tmp_path / "bomb.rows.jsonl.gz"
    path.write_bytes(gzip.compress(bytes(files.MOST_BYTES + 2**20)))
    with pytest.raises(files.Unreadable, match="is larger than 64 MiB, unpacked"):
        files.whole(path, files.MOST_BYTES)
    assert lookup.found_in(path).problems == [f"{path}: is larger than 64 MiB, unpacked"]


def test_rows_are_read_packed_and_plain_and_by_a_link(tmp_path):
    """The same row from a file of lines, a packed one, and a link that a user made."""
    line = b'{"implementation": "native"}\n\n'
    plain, packed, link = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz", tmp_path / "link.jsonl"
    plain.write_bytes(line)
    packed.write_bytes(gzip.compress(line))
    link.symlink_to(packed)
    found = [lookup.found_in(path).entries for path in (plain, packed, link)]
    assert [[one.record for one in each] for each in found] == 3 * [[{"implementation": "native"}]]
