"""The archive gives back what went into it, touches one partition per session, and is never seen half written."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from reading import read
from synthetic_results import COMMITS, ENV, MACHINE

from lossimpl.files import lines
from reports.record import columns
from reports.record.archive import VERSION, Archive
from reports.record.mirror import changed, mirror
from reports.record.query import Queries, load
from reports.record.reader import Malformed, read_unit
from reports.record.retention import compact
from reports.record.rows import Row
from reports.record.units import units
from reports.record.unpack import differences, held, unpacked

COMMITTED = Path(__file__).parents[2] / "results"
STEM = f"{COMMITS[-1][:8]}-{ENV}"


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(results, tmp_path / "results"))


def contents(archive: Archive) -> dict[str, bytes]:
    """Every file that a partition names, and every partition.json, by path."""
    names = [one.path(table) for one in archive.partitions for table in one.files]
    names += [f"{one.folder}/partition.json" for one in archive.partitions]
    return {name: archive.where.read(name) or b"" for name in names}


@pytest.mark.parametrize("folder", ["synthetic", "committed"])
def test_everything_comes_out_as_it_went_in(results: Path, tmp_path: Path, folder: str) -> None:
    """asv's JSON, rows, rounds, sessions, manifests, hard cases, loaders, nights and self-tests, field by field."""
    source = results if folder == "synthetic" else COMMITTED
    archive, problems = mirror(source, tmp_path / "archive")
    assert problems == []
    files = {(unit.machine, unit.stem): unit for unit in units(source)[0]}
    found = {
        (one.machine, stem): stored for one in archive.partitions for stem, stored in unpacked(archive, one).items()
    }
    assert found.keys() == files.keys()
    for key, stored in found.items():
        assert list(differences(stored, held(read_unit(files[key])))) == []
    assert sum(len(stored.get("rows", ())) for stored in found.values()) > 150


def test_a_difference_is_found(results: Path, tmp_path: Path) -> None:
    """The comparison above can fail: a changed number, a missing line and a further one are named."""
    archive, _ = mirror(results, tmp_path / "archive")
    partition = next(one for one in archive.partitions if STEM in one.units)
    (unit,) = (one for one in units(results)[0] if one.stem == STEM)
    stored, now = unpacked(archive, partition)[STEM], held(read_unit(unit))
    stored["rows"][1]["rounds"][0]["seconds"] += 1e-15
    del stored["rows"][2]
    stored["rows"][999] = {}
    assert list(differences(stored, now)) == ["rows 1", "rows 2", "rows 999"]


def test_asvs_files_come_back_byte_by_byte_as_json(tmp_path: Path) -> None:
    """asv's own file of every committed commit, from the archive alone."""
    archive, _ = mirror(COMMITTED, tmp_path / "archive")
    for partition in archive.partitions:
        for stem, stored in unpacked(archive, partition).items():
            if "asv" in stored:
                original = json.loads((COMMITTED / partition.machine / f"{stem}.json").read_text())
                results = {name: cells for name, cells in stored["asv"].items() if name}
                assert columns.same({**stored["asv"][""], "results": results}, original)


def test_rebuilt_from_scratch_it_has_the_same_content(copy: Path, tmp_path: Path) -> None:
    """Added to one commit after the other, or built at once: the same files with the same rows in the same order."""
    files = sorted((copy / MACHINE).glob(f"{COMMITS[0][:8]}*"))
    (tmp_path / "later").mkdir()
    for path in files:
        path.rename(tmp_path / "later" / path.name)
    mirror(copy, tmp_path / "grown")
    for path in files:
        (tmp_path / "later" / path.name).rename(path)
    grown, _ = mirror(copy, tmp_path / "grown")
    fresh, _ = mirror(copy, tmp_path / "fresh")
    assert [(one.folder, one.files, one.units) for one in grown.partitions] == [
        (one.folder, one.files, one.units) for one in fresh.partitions
    ]
    for one, other in zip(grown.partitions, fresh.partitions, strict=True):
        for name in one.files:
            assert str(grown.table(name, one).to_pylist()) == str(fresh.table(name, other).to_pylist())


def test_a_new_session_touches_one_partition(copy: Path, tmp_path: Path) -> None:
    """That of its machine and month; nothing else is written, and nothing at all the next time."""
    shutil.copytree(copy / MACHINE, copy / "other")
    before = contents(mirror(copy, tmp_path / "archive")[0])
    path = copy / MACHINE / f"{STEM}.rows.jsonl"
    first = json.loads(path.read_text().splitlines()[0])
    path.write_text(path.read_text() + json.dumps(first | {"session": "night"}) + "\n")
    archive, _ = mirror(copy, tmp_path / "archive")
    after = contents(archive)
    written = {name.rpartition("/")[0] for name in after if before.get(name) != after[name]}
    assert written == {f"machine={MACHINE}/month=2023-11"}
    assert changed(archive, copy)[0] == []


def test_a_removed_file_leaves_a_mirror(copy: Path, tmp_path: Path) -> None:
    """A mirror has what the folder has; `add` keeps what only the archive has."""
    mirror(copy, tmp_path / "archive")
    for path in (copy / MACHINE).glob(f"{STEM}*"):
        path.unlink()
    assert changed(Archive(tmp_path / "archive"), copy)[1] == {(MACHINE, STEM)}
    archive, _ = mirror(copy, tmp_path / "archive")
    assert set(Queries(archive).frame("SELECT DISTINCT commit FROM rows")["commit"]) == {COMMITS[0][:8]}


def test_a_half_written_partition_is_invisible(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that dies before it has named its files leaves the partition as it was."""
    archive, _ = mirror(copy, tmp_path / "archive")
    before = contents(archive)
    path = copy / MACHINE / f"{STEM}.rows.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:10]))

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Archive, "_point", dies)
    with pytest.raises(KeyboardInterrupt):
        mirror(copy, tmp_path / "archive")
    monkeypatch.undo()
    assert contents(Archive(tmp_path / "archive")) == before
    assert len(Queries(Archive(tmp_path / "archive")).frame("SELECT row FROM rows")) == 168
    assert len(Queries(mirror(copy, tmp_path / "archive")[0]).frame("SELECT row FROM rows WHERE line > 0")) == 84 + 10


def add(results: Path, archive: Path, number: int) -> None:
    """What one writer of the next test does."""
    where = Archive(archive)
    where.add([one for place, one in enumerate(changed(where, results)[0]) if place % 4 == number])


def test_concurrent_writers_lose_nothing(tmp_path: Path) -> None:
    """Four processes add to the same partitions at once; all that they added is there."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add, args=(COMMITTED, tmp_path / "archive", number)) for number in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert [one.exitcode for one in writers] == [0] * 4
    assert changed(Archive(tmp_path / "archive"), COMMITTED)[:2] == ([], set())
    rows = Queries(Archive(tmp_path / "archive")).frame("SELECT row FROM rows WHERE line > 0")
    assert len(rows) == sum(len(list(filter(None, lines(path)))) for path in COMMITTED.glob("*/*.rows.jsonl*"))


def test_an_archive_of_tomorrow_is_refused(tmp_path: Path) -> None:
    """Its version is named."""
    (tmp_path / "format.json").write_text(f'{{"version": {VERSION + 1}}}')
    with pytest.raises(Malformed, match=f"an archive of version {VERSION + 1}; this version reads {VERSION}"):
        Archive(tmp_path)


def test_the_frame_has_the_numbers_of_the_reader(results: Path, tmp_path: Path) -> None:
    """Times, intervals, shares and errors are those that the files give."""
    mirror(results, tmp_path / "archive")
    found = load(tmp_path / "archive", where="loss = 'mse_loss'")
    rows = read(results).rows
    rows = rows[rows["loss"] == "mse_loss"]
    key = ["machine", "env", "commit", "session", "implementation", "shape", "dtype", "device", "mode"]
    numbers = [*columns.MEASURED, *columns.SAME]
    expected = rows.set_index(key)[numbers].sort_index().astype(float)
    pd.testing.assert_frame_equal(found.set_index(key)[numbers].sort_index(), expected, check_index_type=False)


def test_a_second_session_with_the_same_id_is_named_and_not_shown(copy: Path, tmp_path: Path) -> None:
    """The first commit's keeps its rows."""
    for kind in ("rows", "sessions"):
        path = copy / MACHINE / f"{STEM}.{kind}.jsonl"
        path.write_text(path.read_text().replace('"session1"', '"session0"'))
    queries = Queries(mirror(copy, tmp_path / "archive")[0])
    counts = queries.frame("SELECT commit, count(*) AS rows FROM rows WHERE session <> '' GROUP BY commit")
    assert counts.values.tolist() == [[COMMITS[0][:8], 80]]
    assert ["session0 has the id of another" in one.what for one in queries.problems()] == [True]


def test_compaction_changes_no_number_but_samples(tmp_path: Path) -> None:
    """Rounds, times, intervals and shares are as before, samples are gone, their quantiles are there."""
    archive, _ = mirror(COMMITTED, tmp_path / "archive")
    before = load(tmp_path / "archive")
    size = sum(len(one) for one in contents(archive).values())
    assert compact(archive, 12) == []
    assert len(compact(archive, 12, today=pd.Timestamp("2028-01-01", tz="UTC"))) == 2
    archive = Archive(tmp_path / "archive")
    pd.testing.assert_frame_equal(load(tmp_path / "archive"), before)
    assert Queries(archive).frame("SELECT row FROM rows WHERE samples IS NOT NULL").empty
    assert sum(len(one) for one in contents(archive).values()) < 0.9 * size
    for one in archive.partitions:
        for stem, stored in unpacked(archive, one).items():
            (unit,) = (unit for unit in units(COMMITTED)[0] if (unit.machine, unit.stem) == (one.machine, stem))
            assert list(differences(stored, held(read_unit(unit)))) == []


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of an S3 server on this machine."""
    boto3, server = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    running = server.ThreadedMotoServer(port=0)
    running.start()
    _, port = running.get_host_and_port()
    boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1").create_bucket(Bucket="record")
    yield f"s3://record/archive?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
    running.stop()


def test_object_storage_holds_the_same_archive(results: Path, tmp_path: Path, bucket: str) -> None:
    """The same files as in a folder, and the same answers."""
    folder, _ = mirror(results, tmp_path / "archive")
    archive = Archive(bucket)
    archive.add(changed(archive, results)[0])
    assert contents(Archive(bucket)) == contents(folder)
    sql = "SELECT row, commit, value FROM rows ORDER BY ALL"
    pd.testing.assert_frame_equal(Queries(Archive(bucket)).frame(sql), Queries(folder).frame(sql))


def test_a_row_by_its_name(results: Path, tmp_path: Path) -> None:
    """One series is found by asv's name of it."""
    mirror(results, tmp_path / "archive")
    row = Row("mse_loss.MSELoss.track_seconds", ("native", "32x10", "float32", "cpu", "step"))
    found = load(tmp_path / "archive", where="row = '" + str(row).replace("'", "''") + "'", columns=["commit", "value"])
    assert found["commit"].tolist() == [one[:8] for one in COMMITS]
