"""C++ kernels of both revisions: compiled with one memory of objects, checked before anything else is built."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reports.gate.compiler import included

SYNTAX_SECONDS = 120


def variables(cache: Path) -> dict[str, str]:
    """What has a side build its kernels below `cache`, with a compiler that keeps the objects there; {} without one."""
    real = os.environ.get("CXX", "g++")
    if shutil.which(real) is None:
        return {}
    script = cache / "bin" / "g++"  # torch's tools recognise a compiler by its name
    script.parent.mkdir(parents=True, exist_ok=True)
    remembering = Path(__file__).with_name("compiler.py")
    partial = script.with_name(f"partial-{os.getpid()}")
    partial.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{remembering}" {real} "{cache / "objects"}" "$@"\n')
    partial.chmod(0o755)
    partial.rename(script)
    return {"CXX": str(script), "TORCH_EXTENSIONS_DIR": str(cache / "extensions")}


def first_error(source: Path, changed: Iterable[str]) -> str | None:
    """The first error of the compiler in the sources that a change reaches, or None; nothing is built."""
    files = {source / name for name in changed if name.endswith((".cpp", ".h"))}
    reached = [one for one in sorted({path.parent for path in files}) for one in sorted(one.glob("*.cpp"))]
    reached = [one for one in reached if included(one) & files]
    compiler = os.environ.get("CXX", "g++")
    torch = importlib.util.find_spec("torch")
    if not reached or shutil.which(compiler) is None or torch is None or not torch.submodule_search_locations:
        return None
    headers = Path(torch.submodule_search_locations[0]) / "include"
    places = (headers, headers / "torch/csrc/api/include", sysconfig.get_path("include"))
    options = ["-std=c++20", "-fopenmp", *(f"-I{one}" for one in places), "-DTORCH_EXTENSION_NAME=checked"]
    command = [compiler, "-fsyntax-only", "-w", "-fmax-errors=1", *options]
    with ThreadPoolExecutor(os.cpu_count()) as lanes:
        return next(_errors(lanes, [[*command, str(one)] for one in reached]), None)


def _errors(lanes: ThreadPoolExecutor, commands: list[list[str]]) -> Iterator[str]:
    def check(command: list[str]) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SYNTAX_SECONDS)
        lines = [line for line in done.stderr.splitlines() if "error:" in line] or done.stderr.splitlines()
        return f"{Path(command[-1]).name}: {lines[0] if lines else 'no message'}" if done.returncode else ""

    running = [lanes.submit(check, command) for command in commands]
    for one in running:
        if text := one.result():
            for other in running:
                other.cancel()
            yield text
