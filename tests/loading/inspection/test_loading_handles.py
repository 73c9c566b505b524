"""Real handles of packages that datasets hold: open, they are found; what is harmless is not."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from lossimpl.loading import Workload
from lossimpl.loading.inspection.preflight import held
from lossimpl.loading.inspection.transforms import timed_transforms


class Holder:
    """A dataset that holds something."""

    def __init__(self, held):
        self.held = held

    def __len__(self):
        return 1


def open_h5py(folder):
    h5py = pytest.importorskip("h5py")
    file = h5py.File(folder / "data.h5", "w")
    return file.create_dataset("x", data=np.ones(3))


def open_lmdb(folder):
    lmdb = pytest.importorskip("lmdb")
    return lmdb.open(str(folder / "data.lmdb"))


def open_zarr(folder):
    zarr = pytest.importorskip("zarr")
    return zarr.open_array(str(folder / "data.zarr"), mode="w", shape=(3,), dtype="f4")


def open_npz(folder):
    np.savez(folder / "data.npz", x=np.ones(3))
    return np.load(folder / "data.npz")


def open_zip(folder):
    return zipfile.ZipFile(folder / "data.zip", "w")


def open_image(folder):
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (4, 4)).save(folder / "data.png")
    return image.open(folder / "data.png")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (open_h5py, "h5py.Dataset"),
        (open_lmdb, "lmdb.Environment: LMDB forbids to use it in a child process"),
        (open_zarr, "zarr.Array: its threads do not survive a fork"),
        (open_npz, "an open NpzFile"),
        (open_zip, "an open ZipFile"),
        (open_image, "opened but not loaded"),
    ],
)
def test_an_open_handle_is_found_once_with_its_path(tmp_path, make, words):
    """In a list of the dataset; the files and locks inside a handle are not named apart."""
    found = [one for one in held(Workload(Holder([make(tmp_path)]))) if one.check in ("open handle", "lock")]
    assert [one.what.partition(" is ")[0] for one in found] == ["dataset.held[0]"], found
    assert words in found[0].what


def test_what_is_closed_or_in_memory_is_no_handle(tmp_path):
    """Closed archives and files, bytes in memory, an image whose pixels were read."""
    archive, arrays, image, values = (make(tmp_path) for make in (open_zip, open_npz, open_image, open_h5py))
    for one in (archive, arrays, values.file):
        one.close()
    image.load()
    holder = Holder([archive, arrays, values, io.BytesIO(b"x"), image])
    assert [one for one in held(Workload(holder)) if one.check == "open handle"] == []


class Sequence:
    """A transform that is also a container, such as torch's Sequential."""

    strength = 1

    def __call__(self, sample):
        return sample

    def __len__(self):
        return 0

    def __iter__(self):
        return iter("ab")

    def __eq__(self, other):
        return other == "equal"


class Transformed:
    """Its property must not be asked: that has an effect."""

    asked = 0

    def __init__(self):
        self.transform = Sequence()

    @property
    def transform_count(self):
        self.asked += 1
        return print

    @staticmethod
    def augment(sample):
        return sample


def test_a_clock_around_a_transform_passes_for_it():
    """Container, comparison, truth, `isinstance`, attributes read and written; afterwards all is as before."""
    dataset = Transformed()
    before = dict(vars(dataset))
    clocks = timed_transforms(dataset)
    timed = dataset.transform
    assert (len(timed), list(timed), timed == "equal", bool(timed)) == (0, ["a", "b"], True, False)
    assert (isinstance(timed, Sequence), timed(3), dataset.augment(4)) == (True, 3, 4)
    timed.strength = 5
    assert sorted(clock.name for clock in clocks) == ["augment", "transform"]
    for clock in clocks:
        clock.put_back()
    assert vars(dataset) == before
    assert (dataset.transform is before["transform"], dataset.transform.strength, dataset.asked) == (True, 5, 0)


def test_a_transform_that_was_replaced_meanwhile_stays():
    """As a dataset may do in `__getitem__`."""
    dataset = Transformed()
    clocks = timed_transforms(dataset)
    dataset.transform = other = Sequence()
    for clock in clocks:
        clock.put_back()
    assert dataset.transform is other
