"""Open handles and locks that workers should not share, of the standard library and of packages.

Under fork, workers share the position of an open file, and many libraries forbid to use a handle in a child at all.
Packages are known by the names of their classes, so that none is imported, and a subclass counts as its base.
"""

from __future__ import annotations

import io
import mmap
import socket
import sqlite3
import subprocess
import sys
import tarfile
import threading
import zipfile
from typing import Any, NamedTuple

import numpy as np

from lossimpl.loading.data.objects import attributes, is_a

OPEN_IN_WORKER = "open it on first use in each process, and leave it out of __getstate__"
MAKE_IN_WORKER = "make it on first use in each process"
LOAD = "call its load() when the dataset is made, or open the file in __getitem__"


class Held(NamedTuple):
    """What a value is, as it stands after "dataset.x is", and what to do about it."""

    what: str
    advice: str


HANDLES: tuple[type, ...] = (
    io.IOBase,
    mmap.mmap,
    socket.socket,
    sqlite3.Connection,
    sqlite3.Cursor,
    subprocess.Popen,
    tarfile.TarFile,
    threading.Thread,
    zipfile.ZipFile,
    np.lib.npyio.NpzFile,
)
IN_MEMORY = (io.BytesIO, io.StringIO)
LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Semaphore, threading.Event)
FOREIGN = {  # package: its classes that are, or hold, an open handle
    "_gdbm": ("gdbm",),
    "_dbm": ("dbm",),
    "av": ("Container", "InputContainer"),
    "cv2": ("VideoCapture",),
    "decord": ("VideoReader",),
    "duckdb": ("DuckDBPyConnection",),
    "fsspec": ("AbstractBufferedFile",),
    "h5py": ("File", "Group", "Dataset", "FileID", "GroupID", "DatasetID"),
    "lmdb": ("Environment", "Transaction", "Cursor"),
    "netCDF4": ("Dataset",),
    "openslide": ("OpenSlide",),
    "posix": ("ScandirIterator",),
    "psycopg": ("Connection",),
    "psycopg2": ("connection",),
    "pyarrow": ("NativeFile", "ParquetFile", "RecordBatchFileReader"),
    "pymongo": ("MongoClient",),
    "rasterio": ("DatasetReader",),
    "redis": ("Redis",),
    "requests": ("Session",),
    "sqlalchemy": ("Engine", "Connection", "Session"),
    "tables": ("File",),
    "tifffile": ("TiffFile",),
    "zarr": ("Array", "Group", "AsyncArray", "ZipStore"),
}
WHY = {
    "zarr": "its threads do not survive a fork",
    "lmdb": "LMDB forbids to use it in a child process",
}


def handle_of(value: Any) -> Held | None:
    """What handle a value is, or None."""
    name = type(value).__name__
    if is_a(value, HANDLES):
        harmless = is_a(value, IN_MEMORY) or closed(value) or refuses(value)
        return None if harmless else Held(f"an open {name} that workers would share", OPEN_IN_WORKER)
    for kind in type(value).__mro__:
        package = package_of(kind)
        if kind.__name__ in FOREIGN.get(package, ()) and not closed(value) and not refuses(value):
            why = WHY.get(package, "workers would share it")
            return Held(f"an open {package}.{kind.__name__}: {why}", OPEN_IN_WORKER)
    if lazy_image(value):
        return Held(f"a {name} of PIL that is opened but not loaded: workers would share its file", LOAD)
    return None


def closed(value: Any) -> bool:
    """Whether a handle says that it is closed: by `closed`, by a file that it no longer has, or (h5py) by its truth."""
    try:
        gone = any(attributes(value).get(name, value) is None for name in ("fp", "zip"))
        return gone or bool(getattr(value, "closed", False)) or (package_of(type(value)) == "h5py" and not value)
    except Exception:
        return False


def refuses(value: Any) -> bool:
    """Whether a handle that does not say that it is closed refuses a question: a connection of sqlite3, or of lmdb."""
    question = {sqlite3.Connection: "total_changes", sqlite3.Cursor: "connection"}.get(type(value))
    try:
        if question:
            return getattr(value, question) is None
        if type(value).__name__ == "Environment" and package_of(type(value)) == "lmdb":
            value.path()
    except Exception:
        return True
    return False


def package_of(kind: type) -> str:
    """The package of a class; some extension modules call themselves `builtins`, so these are looked up by name."""
    package = (kind.__module__ or "").partition(".")[0]
    if package == "builtins":
        loaded = ((name, sys.modules.get(name)) for name, classes in FOREIGN.items() if kind.__name__ in classes)
        return next((name for name, module in loaded if getattr(module, kind.__name__, None) is kind), package)
    return package


def lazy_image(value: Any) -> bool:
    """Whether this is an image of PIL whose pixels are still in its file."""
    is_file = any(kind.__name__ == "ImageFile" and kind.__module__ == "PIL.ImageFile" for kind in type(value).__mro__)
    file = attributes(value).get("fp")
    return is_file and file is not None and not is_a(file, IN_MEMORY)


def lock_of(value: Any) -> Held | None:
    """What lock a value is, or None."""
    if not is_a(value, LOCKS):
        return None
    return Held(f"a {type(value).__name__}, which a forked worker may wait for forever", MAKE_IN_WORKER)
