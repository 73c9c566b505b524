"""Ids and checksums: what they depend on, and that a change of any value of a row is noticed."""

import dataclasses
import json

import pytest
from test_comparison import one_round, row

from lossimpl import identity

PLACE = {"machine": "a-machine", "commit": "0123456789abcdef", "session": "20261128T133045-d7f1"}
RECORD = identity.identified(dataclasses.asdict(row("torch", one_round(1, 1.0), one_round(2, 2.0))) | PLACE)


def leaves(value, path=()):
    """The path of every value that is no list and no object."""
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, one in inner for leaf in leaves(one, (*path, key))]
    return [path]


STORED = json.loads(json.dumps(RECORD))


@pytest.mark.parametrize("path", leaves(STORED), ids=lambda path: ".".join(map(str, path)))
def test_a_change_of_any_value_is_noticed(path):
    """Each value of a stored row in turn, the id and the checksum too, becomes another one."""
    changed = json.loads(json.dumps(STORED))
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = "changed"
    assert identity.fault(STORED) == ""
    assert "the row was changed after it was written" in identity.fault(changed)


def test_a_field_that_is_removed_or_added_is_noticed():
    """Without its checksum a row is unverified, which is another thing than altered."""
    assert identity.fault({name: value for name, value in STORED.items() if name != "seed"})
    assert identity.fault(STORED | {"note": ""})
    assert not identity.fault({name: value for name, value in STORED.items() if name != "checksum"})


def test_an_id_that_belongs_to_another_row_is_noticed():
    """A new checksum does not hide it."""
    moved = STORED | {"implementation": "native"}
    assert identity.fault(moved | {"checksum": identity.checksum(moved)}).startswith("id: the row was changed")


@pytest.mark.parametrize("name", ["machine", "commit", "session", "loss", "implementation", "shape", "mode", "options"])
def test_the_id_follows_from_what_identifies_a_row(name):
    """Each of these alone gives another id; a result does not."""
    assert identity.row_id(STORED | {name: "another"}) != STORED["id"]
    assert identity.row_id(STORED | {"rounds": [], "status": "wrong", "peak_bytes": 1}) == STORED["id"]


def test_order_and_white_space_do_not_matter():
    """Through JSON in another order, indented, the row is the same."""
    again = json.loads(json.dumps(dict(reversed(RECORD.items())), indent=2))
    assert identity.fault(again) == ""
    assert identity.row_id(again) == RECORD["id"]
