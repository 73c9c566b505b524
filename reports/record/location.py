"""Where an archive lies: a folder (of a git worktree too), or object storage as `s3://bucket/path`.

Paths below are relative to the archive, with slashes. A written file appears whole or not at all: in a folder it is
renamed into place, in object storage a put is atomic.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.fs as fs
from filelock import FileLock

WAIT_SECONDS = 600  # for another writer of the same partition


@dataclass(frozen=True)
class Location:
    """A file system and the archive's path in it."""

    system: fs.FileSystem
    root: str

    @classmethod
    def of(cls, where: str | Path) -> Location:
        """A folder's path, or an address that pyarrow knows: `s3://bucket/path?endpoint_override=host:port`."""
        if "://" in str(where):
            return cls(*fs.FileSystem.from_uri(str(where)))
        return cls(fs.LocalFileSystem(), str(Path(where).resolve()))

    @property
    def local(self) -> bool:
        """Whether it is a folder."""
        return isinstance(self.system, fs.LocalFileSystem)

    def path(self, name: str) -> str:
        """The path of a file in the file system."""
        return f"{self.root}/{name}"

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, None if there is none."""
        try:
            with self.system.open_input_stream(self.path(name)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """A stream whose bytes become the file when it ends without an error."""
        self.system.create_dir(self.path(name).rpartition("/")[0])
        fresh = f"{name}.{secrets.token_hex(4)}.new" if self.local else name
        try:
            with self.system.open_output_stream(self.path(fresh)) as file:
                yield file
            if self.local:
                os.replace(self.path(fresh), self.path(name))
        except BaseException:
            if self.local and os.path.exists(self.path(fresh)):
                os.unlink(self.path(fresh))
            raise

    def names(self, ending: str) -> list[str]:
        """The files whose name ends so, sorted."""
        found = self.system.get_file_info(fs.FileSelector(self.root, recursive=True, allow_not_found=True))
        paths = (one.path for one in found if one.type == fs.FileType.File and one.path.endswith(ending))
        return sorted(path.removeprefix(self.root).lstrip("/") for path in paths)

    def delete(self, name: str) -> None:
        """Remove a file, which another writer may have removed already."""
        try:
            self.system.delete_file(self.path(name))
        except FileNotFoundError:
            return

    @contextmanager
    def only_writer(self, name: str) -> Iterator[None]:
        """Hold a folder's partition against other writers; object storage has no locks, and `Archive` reads back."""
        if not self.local:
            yield
            return
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path, timeout=WAIT_SECONDS):
            yield
