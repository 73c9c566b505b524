"""The rules of validity agree with what torch accepts, and an error about a bad request names the argument."""

from __future__ import annotations

import re

import loading_faults
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from lossimpl.loading import measure
from lossimpl.loading.search.space import default_axes, product
from lossimpl.loading.settings import Settings, from_request
from lossimpl.loading.validity import Facts, invalid_reason
from lossimpl.loading.workload import as_workload, facts_of, loader_arguments

WORKLOADS = {
    "map": loading_faults.good,
    "sampler": loading_faults.with_sampler,
    "batch sampler": loading_faults.with_batch_sampler,
    "stream": loading_faults.ShardedStream,
}
REQUESTS = st.builds(
    Settings,
    batch_size=st.sampled_from([None, -1, 0, 1, 8]),
    num_workers=st.sampled_from([-1, 0, 1]),
    prefetch_factor=st.sampled_from([None, 1, 4]),
    persistent_workers=st.booleans(),
    multiprocessing_context=st.sampled_from([None, "fork", "thread"]),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    timeout=st.sampled_from([-1.0, 0.0]),
)


@hypothesis_settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(WORKLOADS)), REQUESTS)
def test_rules_accept_exactly_what_the_constructor_accepts(kind, settings):
    """Over the arguments whose faults torch finds at construction; those it finds later are in the failure matrix."""
    workload = as_workload(WORKLOADS[kind]())
    try:
        DataLoader(workload.dataset, **loader_arguments(workload, settings))
        refused = False
    except (ValueError, TypeError):
        refused = True
    assert (invalid_reason(settings, facts_of(workload)) is not None) == refused


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"num_worker": 2}, "num_worker: not an argument"),
        ({"num_workers": "two"}, "num_workers: expected a whole number, got 'two'"),
        ({"num_workers": True}, "num_workers: expected a whole number, got True"),
        ({"num_workers": None}, "num_workers: expected a value, got None"),
        ({"shuffle": 1}, "shuffle: expected true or false, got 1"),
        ({"timeout": "long"}, "timeout: expected a number"),
        ({"multiprocessing_context": 3}, "multiprocessing_context: expected one of"),
        ({"batch_size": 2.5, "pin_memory": "yes"}, "pin_memory: expected true or false"),
    ],
)
def test_a_bad_request_names_argument_value_and_what_is_allowed(request_, words):
    """It comes back as status `invalid` and is not run."""
    with pytest.raises(ValueError, match=re.escape(words)):
        from_request(request_)
    row = measure(request_, "digits", 0.1)
    assert (row["status"], words in row["reason"]) == ("invalid", True)


def test_the_product_holds_every_valid_combination_once():
    """On 2 cores without a GPU: one without workers, and 3 counts x 2 x 2 x 3 x 2 with them."""
    found = product(Settings(), default_axes(2, Facts()), Facts())
    assert len(found) == len(set(found)) == 1 + 3 * 2 * 2 * 3 * 2
    assert all(invalid_reason(one, Facts()) is None for one in found)


def test_without_workers_resets_the_arguments_that_need_workers():
    """So that the reference of every setting is valid."""
    settings = Settings(num_workers=2, prefetch_factor=4, persistent_workers=True, timeout=3.0, in_order=False)
    assert settings.without_workers() == Settings()
