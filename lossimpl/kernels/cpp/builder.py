"""Builds the C++ operators on first use and keeps them: one library for a state of the sources, flags and torch.

The library lies in torch's extensions folder (`TORCH_EXTENSIONS_DIR`, else the user's cache) under a name made of all
that it depends on, so a change of any of it builds anew and never meets a stale file. A lock lets one process build
while others wait. torch.utils.cpp_extension is imported only to build: it costs more than loading.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lossimpl.measure.wall import now
from lossimpl.spec import Unavailable

SOURCES = Path(__file__).parent / "csrc"
# No errno and no traps: both would keep the compiler from choosing lanes by a mask. NaN and infinity stay exact.
# at::parallel_for is a template over OpenMP. The linker gets no -fopenmp, so that the names resolve to the library that
# torch brings: a second OpenMP would have threads of its own and not follow torch.set_num_threads.
FLAGS = ("-O3", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi", "-DNDEBUG", "-g0")

FAILED: dict[Path, str] = {}  # why a library could not be built in this process: nobody waits for that twice


def compiler() -> str:
    """The C++ compiler; left alone, torch's extension tools take `c++`, which may be missing or another."""
    return os.environ.get("CXX", "c++" if platform.system() == "Darwin" else "g++")


def obstacle() -> str | None:
    """Why nothing can be built here, or None."""
    if platform.system() == "Windows":
        return "the C++ kernels are not built on Windows"
    found = shutil.which(compiler().split()[0])
    if found is None:
        return f"no C++ compiler: {compiler()!r} was not found (set CXX, or install g++)"
    if ninja_folder() is None:
        return "no ninja: it was neither found in PATH nor beside this Python (pip install ninja)"
    return None


def ninja_folder() -> str | None:
    """Where ninja lies; a wheel puts it beside the interpreter, which need not be in PATH."""
    beside = os.path.dirname(sys.executable)
    found = shutil.which("ninja") or shutil.which("ninja", path=beside)
    return os.path.dirname(found) if found else None


def key() -> str:
    """A hash of everything that the library depends on."""
    parts = [torch.__version__, platform.machine(), compiler(), *FLAGS]
    for path in sorted(SOURCES.iterdir()):
        parts += [path.name, path.read_text()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def library() -> Path:
    """Where the library for this state lies, or will."""
    root = os.environ.get("TORCH_EXTENSIONS_DIR")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(root) if root else cache / "torch_extensions"
    return folder / f"lossimpl-{key()}" / "lossimpl_cpp.so"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock on the file; it ends with the process, so a killed build leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build() -> Path:
    """The library, built if it is not there yet; Unavailable says why it cannot be."""
    path = library()
    if path.exists():
        return path
    reason = obstacle() or FAILED.get(path)
    if reason is not None:
        raise Unavailable(f"native needs to build its C++ kernels once: {reason}")
    with locked(path.parent / "building.lock"):
        if not path.exists():
            compile_to(path)
    return path


def compile_to(path: Path) -> None:
    """Compile all sources and link them at `path`, telling so on stderr in one line.

    torch's tools are imported before that line: a torch for CUDA has a warning of its own where no GPU is found.
    """
    start = now()
    try:
        importlib.import_module("torch.utils.cpp_extension")
        print(f"lossimpl: building the C++ kernels with {compiler()} ...", end=" ", file=sys.stderr, flush=True)
        run_torch_build(path)
    except Exception as error:
        print("failed", file=sys.stderr)
        FAILED[path] = f"the build failed: {error}"
        raise Unavailable(f"native could not build its C++ kernels: {error}") from error
    print(f"done in {now() - start:.0f} s", file=sys.stderr, flush=True)


def run_torch_build(path: Path) -> None:
    """Compile through torch's extension tools, which know its headers, libraries and ABI.

    The library appears at `path` by a rename, so no other process can meet half of it. torch loads what it has built;
    loading the renamed file again finds the same inode and does nothing.
    """
    from torch.utils import cpp_extension

    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), ninja_folder() or ""])
    os.environ["CXX"] = compiler()
    stage = path.parent / "stage"
    stage.mkdir(exist_ok=True)
    (stage / "lock").unlink(missing_ok=True)  # torch's own lock, left by a build that was killed
    cpp_extension.load(
        name=path.stem,
        sources=[str(source) for source in sorted(SOURCES.glob("*.cpp"))],
        extra_cflags=list(FLAGS),
        build_directory=str(stage),
        is_python_module=False,
    )
    (stage / path.name).rename(path)
    shutil.rmtree(stage)
