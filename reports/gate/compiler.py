"""A C++ compiler that remembers: what a caller passes as CXX to have unchanged sources compiled once.

Object files are kept by a hash of the source, of the files that it includes from its own folder, of the compiler and of
the options. Paths of the sources are left out of the code, so that equal sources give equal objects in both revisions.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def main(compiler: str, cache: Path, arguments: list[str]) -> int:
    """Compile, or copy the object that an earlier compilation made; anything else goes to the compiler as it is."""
    source = next((Path(one) for one in arguments if one.endswith(".cpp")), None)
    if source is None or "-c" not in arguments or "-o" not in arguments:
        return subprocess.run([compiler, *arguments]).returncode
    output = Path(arguments[arguments.index("-o") + 1])
    kept = cache / f"{key(compiler, source, arguments)}.o"
    if not kept.exists():
        mapped = f"-ffile-prefix-map={source.parent}=."
        code = subprocess.run([compiler, *arguments, mapped]).returncode
        if code:
            return code
        cache.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}")
        shutil.copy(output, partial)
        partial.rename(kept)
    shutil.copy(kept, output)
    if "-MF" in arguments:
        Path(arguments[arguments.index("-MF") + 1]).write_text(f"{output}: {source}\n")
    return 0


def key(compiler: str, source: Path, arguments: list[str]) -> str:
    """A hash of everything that an object depends on."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    own = str(source.parent)
    options = [one for one in arguments if own not in one and not one.endswith((".o", ".d"))]
    digest = hashlib.sha256("\0".join([version, *options]).encode())
    for path in sorted(included(source)):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def included(source: Path) -> set[Path]:
    """A source and what it includes by a relative name, directly or not."""
    found, waiting = set(), [source]
    while waiting:
        path = waiting.pop()
        if path not in found and path.exists():
            found.add(path)
            waiting += [path.parent / name for name in INCLUDE.findall(path.read_text(errors="replace"))]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
