"""Digests are equal if and only if the data are, and order-free digests see a multiset."""

from __future__ import annotations

import random
from collections import Counter, namedtuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lossimpl.loading.data.digest import digest, order_free, types

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
marks = st.lists(st.sampled_from([f"{number:016x}" for number in (1, 2, 3, 2**63)]), max_size=12)


def exact(value):
    """A text that is equal for equal values of equal types only (1, 1.0 and True are three)."""
    if isinstance(value, dict):
        return "dict" + str([(exact(key), exact(item)) for key, item in value.items()])
    return str([exact(item) for item in value]) if isinstance(value, list) else f"{type(value).__name__}:{value!r}"


@given(values, values)
def test_digests_are_equal_exactly_when_values_are(one, other):
    """Types count: 1, 1.0 and True are different samples."""
    assert (digest(one) == digest(other)) == (exact(one) == exact(other))


@given(marks, marks)
def test_order_free_digests_see_multisets(one, other):
    """The order does not matter, the number of each does."""
    shuffled = random.Random(0).sample(one, len(one))
    assert order_free(one) == order_free(shuffled)
    total = sum(int(mark, 16) for mark in one) % 2**64 == sum(int(mark, 16) for mark in other) % 2**64
    assert (order_free(one) == order_free(other)) == (Counter(one) == Counter(other) or total)


Point = namedtuple("Point", "x y")
DIFFERENT = [
    torch.zeros(2, 3),
    torch.zeros(3, 2),
    torch.zeros(6),
    torch.zeros(2, 3, dtype=torch.float64),
    torch.zeros(2, 3, dtype=torch.int32),
    np.zeros((2, 3), np.float32),
    np.zeros((2, 3), np.int32),
    np.float32(0),
    torch.tensor(float("nan")),
    torch.tensor(0.0),
    torch.tensor(-0.0),
    [],
    (),
    [[]],
    {},
    None,
    "",
    b"",
    0,
    0.0,
    False,
    Point(1, 2),
    (1, 2),
    np.array(["a", None], dtype=object),
    torch.zeros(0, 3),
    torch.zeros(3, 0),
    torch.zeros(2, dtype=torch.bfloat16),
    torch.zeros(2, dtype=torch.float16),
]


@pytest.mark.parametrize("value", DIFFERENT, ids=repr)
def test_dtype_shape_and_structure_are_part_of_a_digest(value):
    """Each of these differs from all others, and equals its own copy."""
    others = [other for other in DIFFERENT if other is not value]
    assert digest(value) not in {digest(other) for other in others}
    assert digest(value) == digest(value.clone() if isinstance(value, torch.Tensor) else value)


def test_a_tensor_counts_by_its_values_not_by_its_strides():
    """A transposed view equals its contiguous copy."""
    view = torch.arange(6.0).reshape(2, 3).T
    assert digest(view) == digest(view.contiguous())


def test_types_name_each_leaf():
    """By path, so that a change of types can be placed."""
    sample = {"image": torch.zeros(2), "label": 3}
    assert types(sample) == {"sample['image']": "Tensor of torch.float32", "sample['label']": "int"}
