"""One walk finds the parts of samples and batches for digests, obstacles and sizes."""

from __future__ import annotations

import torch

from lossimpl.loading.data.digest import types
from lossimpl.loading.data.tree import DEEPEST, Cut, walk
from lossimpl.loading.inspection.stages import leaves, weight


class Batch:
    """A batch with attributes, as libraries for graphs have them."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


def test_containers_come_before_their_parts_in_order():
    """By path; attributes are not entered unless asked for."""
    sample = {"a": [1, (2,)], "b": Batch(x=3)}
    assert [path for path, _ in walk(sample)] == ["", "['a']", "['a'][0]", "['a'][1]", "['a'][1][0]", "['b']"]
    assert [path for path, _ in walk(sample, enter=(object,))][-1] == "['b'].x"


def test_a_container_that_holds_itself_is_cut_where_it_comes_again():
    """Whether it is a list or two objects that refer to each other."""
    held = [1]
    held.append(held)
    assert [(path, part) for path, part in walk(held) if isinstance(part, Cut)] == [
        ("[1]", Cut("a container that holds itself"))
    ]
    parent = Batch(tensor=torch.ones(2))
    parent.child = Batch(parent=parent, tensor=torch.ones(3))
    assert [len(one) for one in leaves(parent)] == [2, 3]


def test_deep_nesting_is_cut():
    """5000 lists in one another are far beyond Python's own recursion limit."""
    held = 0
    for _ in range(5000):
        held = [held]
    (path, part) = list(walk(held))[-1]
    assert (path, part) == ("[0]" * (DEEPEST + 1), Cut("nested too deeply"))


def test_the_weight_of_a_batch_counts_every_tensor():
    """Two float32 of 3 and one int64 of 2: 40 bytes."""
    batch = {"x": torch.ones(3), "rest": [Batch(y=torch.ones(3)), (torch.ones(2, dtype=torch.int64), "text")]}
    assert weight(batch) == (3, 40)


def test_lists_have_one_type_and_tuples_one_per_part():
    """A list may be longer in another sample; a tuple may not."""
    assert types(([1, 2.0], {"a": None})) == {"sample[0]": "list", "sample[1]['a']": "NoneType"}
