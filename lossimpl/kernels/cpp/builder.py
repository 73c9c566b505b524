"""Builds the C++ operators on first use and caches the library, one per state of sources, flags, compiler and torch.

The library is stored in torch's extensions folder (`TORCH_EXTENSIONS_DIR`, else the user's cache) under a hash of
everything it depends on, so that a change of any of them triggers a new build and a stale file is never loaded. A file
lock lets one process build while others wait. torch.utils.cpp_extension is imported only for a build: importing it
takes longer than loading the library.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import shutil
import sys
from pathlib import Path

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
    """The path of the library, built if necessary. Raises Unavailable with the reason if it cannot be built."""
    path = library()
    if path.exists():
        return path
    reason = obstacle() or FAILED.get(path)
    if reason is not None:
        raise Unavailable(f"native must build its C++ kernels once: {reason}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / "building.lock"):  # the system releases it when a process is killed
        if not path.exists():
            compile_to(path)
    return path


def compile_to(path: Path) -> None:
    """Compile all sources and link them at `path`, reporting it on stderr in one line.

    torch's tools are imported before that line is written: a CUDA build of torch warns on import if it finds no GPU.
    """
    try:
        importlib.import_module("torch.utils.cpp_extension")
        print(f"lossimpl: building the C++ kernels with {compiler()} ...", end=" ", file=sys.stderr, flush=True)
        run_torch_build(path)
    except Exception as error:
        print("failed", file=sys.stderr)
        FAILED[path] = f"the build failed: {error}"
        raise Unavailable(f"native could not build its C++ kernels: {error}") from error
    print("done", file=sys.stderr, flush=True)


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
    (stage / path.name).rename(path)
    shutil.rmtree(stage)
