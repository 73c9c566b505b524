"""Builds the C++ operators on first use and caches the library, one per state of sources, flags, compiler and torch.

The library is stored in torch's extensions folder (`TORCH_EXTENSIONS_DIR`, else the user's cache) under a hash of
everything it depends on, so that a change of any of them triggers a new build and a stale file is never loaded. Its
digest is stored beside it and compared before it is loaded: a file that was cut short or overwritten would otherwise
end the process. A file lock lets one process build while others wait. torch.utils.cpp_extension is imported only for a
build: importing it takes longer than loading the library.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import torch
from filelock import FileLock

from lossimpl.spec import Unavailable

SOURCES = Path(__file__).parent / "csrc"
# errno and floating-point traps would prevent the compiler from vectorising conditionals; NaN and infinity stay exact.
# at::parallel_for is a template over OpenMP. The linker is not given -fopenmp, so that the symbols resolve to the
# OpenMP library bundled with torch: a second one would have its own thread pool and ignore torch.set_num_threads.
FLAGS = ("-O3", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi", "-DNDEBUG", "-g0")

FAILED: dict[Path, str] = {}  # library -> why building it failed in this process; a failed build is not retried


def compiler() -> str:
    """The C++ compiler: `CXX`, else g++. torch's extension tools default to `c++`, which may be missing or another."""
    return os.environ.get("CXX", "c++" if platform.system() == "Darwin" else "g++")


def obstacle() -> str | None:
    """Why nothing can be built here, or None."""
    if platform.system() == "Windows":
        return "the C++ kernels are not built on Windows"
    found = shutil.which(compiler().split()[0])
    if found is None:
        return f"no C++ compiler: {compiler()!r} was not found; install g++ or set CXX"
    if ninja_folder() is None:
        return "no ninja: it is neither in PATH nor next to this Python; run `pip install ninja`"
    return None


def ninja_folder() -> str | None:
    """The folder of the ninja executable; a wheel installs it next to the interpreter, which need not be in PATH."""
    scripts = os.path.dirname(sys.executable)
    found = shutil.which("ninja") or shutil.which("ninja", path=scripts)
    return os.path.dirname(found) if found else None


def key() -> str:
    """A hash of everything the library depends on."""
    parts = [torch.__version__, platform.machine(), compiler(), *FLAGS]
    for path in sorted(SOURCES.iterdir()):
        parts += [path.name, path.read_text()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def library() -> Path:
    """The path of the library for the current state, whether it exists yet or not."""
    root = os.environ.get("TORCH_EXTENSIONS_DIR")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(root) if root else cache / "torch_extensions"
    return folder / f"lossimpl-{key()}" / "lossimpl_cpp.so"


def build() -> Path:
    """The path of the library, built if it is missing or damaged. Raises Unavailable with the reason if that fails."""
    path = library()
    if intact(path):
        return path
    reason = obstacle() or FAILED.get(path)
    if reason is not None:
        raise Unavailable(f"native must build its C++ kernels once: {reason}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / "building.lock"):  # the system releases it when a process is killed
        if not intact(path):
            compile_to(path)
    return path


def intact(path: Path) -> bool:
    """Whether the library is there and has the digest that was stored when it was built."""
    try:
        return digest(path) == digest_file(path).read_text()
    except OSError:
        return False


def digest(path: Path) -> str:
    """The SHA-256 of a file; 20 ms for the library."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_file(path: Path) -> Path:
    """Where the digest of the library is stored."""
    return path.with_suffix(".sha256")


def compile_to(path: Path) -> None:
    """Compile all sources and link them at `path`, with the progress on stderr.

    torch's tools are imported before anything is written: a CUDA build of torch warns on import if it finds no GPU.
    """
    try:
        importlib.import_module("torch.utils.cpp_extension")
        with progress(path.parent / "stage", len(list(SOURCES.glob("*.cpp")))):
            run_torch_build(path)
    except Exception as error:
        FAILED[path] = f"the build failed: {error}"
        raise Unavailable(f"native could not build its C++ kernels: {error}") from error


@contextmanager
def progress(stage: Path, files: int) -> Iterator[None]:
    """Report the build on stderr: its start and its result, and on a terminal how many files are compiled."""
    hint = "once, in a minute or two; `lossimpl build` does it ahead"
    print(f"lossimpl: building the C++ kernels with {compiler()}, {hint}", file=sys.stderr, flush=True)
    ended = Event()
    watcher = Thread(target=count, args=(stage, files, ended), daemon=True)
    watcher.start()
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        ended.set()
        watcher.join()
        print(f"lossimpl: building the C++ kernels: {outcome}", file=sys.stderr, flush=True)


def count(stage: Path, files: int, ended: Event) -> None:
    """Write the number of compiled files over and over on a terminal's line until the build has ended."""
    while not ended.wait(0.5):
        if sys.stderr.isatty():
            print(f"{len(list(stage.glob('*.o')))} of {files} files compiled", end="\r", file=sys.stderr, flush=True)


def run_torch_build(path: Path) -> None:
    """Compile with torch's extension tools, which know its headers, libraries and ABI.

    The library is moved to `path` by a rename, so that no other process sees a partial file. torch loads the library it
    has built; loading the renamed file finds the same inode and has no effect.
    """
    from torch.utils import cpp_extension

    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), ninja_folder() or ""])
    os.environ["CXX"] = compiler()
    stage = path.parent / "stage"
    stage.mkdir(exist_ok=True)
    (stage / "lock").unlink(missing_ok=True)  # torch's own lock, left behind by a killed build
    cpp_extension.load(
        name=path.stem,
        sources=[str(source) for source in sorted(SOURCES.glob("*.cpp"))],
        extra_cflags=list(FLAGS),
        build_directory=str(stage),
        is_python_module=False,
    )
    digest_file(path).write_text(digest(stage / path.name))
    (stage / path.name).rename(path)
    shutil.rmtree(stage)
