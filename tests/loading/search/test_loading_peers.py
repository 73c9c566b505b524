"""Other loaders beside torch's, and the shards of distributed training."""

from __future__ import annotations

import pytest

from lossimpl.loading.bench import Bench
from lossimpl.loading.row import Row
from lossimpl.loading.search import beside, distributed, peers
from lossimpl.loading.search.distributed import judge
from lossimpl.loading.search.search import Search
from lossimpl.loading.settings import Settings


@pytest.mark.parametrize(
    ("epochs", "length", "words"),
    [
        ([[["0", "2"], ["1", "3"]], [["1", "0"], ["3", "2"]]], 4, None),
        ([[["0", "2"], ["1", "0"]], [["1", "0"], ["2", "1"]]], 3, None),  # one repeated to make the ranks equal
        ([[["0", "2"], ["1"]]], 4, "belong to no rank"),
        ([[["0", "1"], ["0", "1"]]], 2, "share 2 samples"),
        ([[["0", "1"], ["0", "2"]]], 4, "overlap"),
        ([[["0", "2"], ["1", "3"]]] * 2, 4, "set_epoch"),
    ],
)
def test_shards_are_disjoint_complete_and_change_with_the_epoch(epochs, length, words):
    """Epoch x rank x indices, made by hand."""
    found = judge(epochs, length, shuffled=True)
    assert found is None if words is None else words in (found or "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "status", "words"),
    [("good", "ok", ""), ("forgotten_epoch", "wrong-data", "set_epoch"), ("not_sharded", "wrong-data", "share")],
)
def test_torchrun_with_gloo_finds_the_faults(bench, dataset, status, words):
    """Two real processes."""
    record = distributed.measure(bench(dataset))
    assert (record["status"], words in record["reason"]) == (status, True), record


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["torchdata", "webdataset", "spdl"])
def test_peers_are_measured_or_say_why_not(bench, peer):
    """Each where it is installed; torchdata also resumes an epoch exactly."""
    pytest.importorskip(peer, reason="an optional peer")
    row = peers.measure(bench("good"), peer, Settings(batch_size=8), budget=0.1)
    assert (row["status"], row["rate"] > 0) == ("ok", True), row
    assert row.get("resumed", True)


def test_an_unknown_peer_is_an_error(bench):
    """Named, with what is allowed."""
    row = peers.measure(bench("good"), "nobody", Settings(batch_size=8), budget=0.1)
    assert (row["status"], "expected one of torchdata" in row["reason"]) == ("error", True), row


@pytest.mark.slow
def test_a_cold_page_cache_is_measured(zygote):
    """The photographs are files, and the kernel forgets them when asked."""
    pytest.importorskip("skimage", reason="the photographs come with scikit-image")
    search = Search(Bench("photographs", zygote, step=0.0), Settings(batch_size=4), {}, budget=0.2)
    row = Row.from_record(beside.cold(search, Settings(batch_size=4)))
    assert (row.kind, row.status, row.page_cache) == ("cold", "ok", "cold"), row
