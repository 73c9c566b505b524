"""The environment of a side: packages, a Python and variables in place of the running interpreter's.

`BASE_WITH="torch==2.13.0 MALLOC_CONF=narenas:1"` and `HEAD_WITH=...` name what is different; everything else is that of
the running interpreter. Packages are installed into an overlay of their own, which is kept by a hash of what it was
made of. Another Python shares no packages with the running one: it gets the same versions of all that a measurement
imports. Nothing is ever installed into the user's environment.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path

from filelock import FileLock
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lossimpl import building, overlay
from lossimpl.building import Unmeasurable

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=(?!=).*", re.DOTALL)
PYTHON = re.compile(r"python={1,2}(.+)")
MEASURED = ("lossimpl", "asv-runner")  # what another Python needs: what the package requires, and the benchmarks
REASONS = ("No matching distribution", "Cannot install", "conflict", "ERROR")  # of pip's lines the most telling first


@dataclass(frozen=True)
class Specification:
    """What differs from the running environment."""

    packages: tuple[str, ...] = ()
    python: str = ""
    variables: tuple[tuple[str, str], ...] = ()


RUNNING = Specification()


def specification(text: str) -> Specification:
    """The specification in a text; Unmeasurable names the word that is none.

    >>> specification("torch==2.13.0 MALLOC_CONF='narenas:1,tcache:false'")
    Specification(packages=('torch==2.13.0',), python='', variables=(('MALLOC_CONF', 'narenas:1,tcache:false'),))
    >>> specification("python==3.12").python
    'python3.12'
    """
    packages: list[str] = []
    python, variables = "", {}
    for word in _words(text):
        if found := PYTHON.fullmatch(word):
            python = f"python{found[1]}" if re.fullmatch(r"\d+(\.\d+)?", found[1]) else found[1]
        elif VARIABLE.fullmatch(word):
            name, _, value = word.partition("=")
            variables[name] = value
        else:
            packages.append(_requirement(word))
    return Specification(tuple(sorted(packages)), python, tuple(sorted(variables.items())))


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Unmeasurable(f"environment {text!r}: {error}") from error


def _requirement(word: str) -> str:
    try:
        return str(Requirement(word))
    except InvalidRequirement:
        raise Unmeasurable(
            f"environment: {word!r} is no package (NAME==VERSION), Python (python==3.12) or variable (NAME=VALUE)"
        ) from None


def prepared(wanted: Specification) -> overlay.Base:
    """The interpreter and the packages of an environment, installed unless an earlier run did."""
    running = overlay.running()
    if not wanted.packages and not wanted.python:
        return running
    base = overlay.Base(_interpreter(wanted.python), ()) if wanted.python else running
    place = building.cache_folder() / "environments" / _hash(wanted, base)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not place.exists():
            _make(place, wanted, base)
    return base.below(place)


def variables_of(wanted: Specification, base: overlay.Base) -> dict[str, str]:
    """The variables of an environment; kernels built for another Python are kept apart."""
    apart = {"TORCH_EXTENSIONS_DIR": str(Path(base.packages[0]).parents[2] / "extensions")} if wanted.python else {}
    return apart | dict(wanted.variables)


def _interpreter(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unmeasurable(f"environment: there is no interpreter {name!r} on this machine")
    return found


def _hash(wanted: Specification, base: overlay.Base) -> str:
    """What an environment is made of: the specification, the interpreter, and the packages that it lies over."""
    asked = subprocess.run([base.python, "-VV"], capture_output=True, text=True)
    if not asked.stdout.startswith("Python "):
        raise Unmeasurable(f"environment: {base.python} is no Python")
    content = [wanted.packages, wanted.python, asked.stdout, sorted(_installed().items()), sys.prefix]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]


def _installed() -> dict[str, str]:
    return {canonicalize_name(one.name): one.version for one in distributions() if one.name}


def _make(place: Path, wanted: Specification, base: overlay.Base) -> None:
    partial = place.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        overlay.make(partial, base)
        _install(partial, wanted)
    except subprocess.CalledProcessError as error:
        raise Unmeasurable(f"environment: {building.first_lines(error.stderr or error.stdout)}") from None
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(place)


def _install(place: Path, wanted: Specification) -> None:
    """Install the packages; those that pip cannot install are named in one line."""
    names = {canonicalize_name(Requirement(one).name) for one in wanted.packages}
    pins = place / "pins.txt"
    pinned = {name: version for name, version in _installed().items() if name not in names}
    pins.write_text("".join(f"{name}=={version}\n" for name, version in pinned.items()) if wanted.python else "")
    needed = [*wanted.packages, *(_needed() if wanted.python else ())]
    command = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet"]
    try:
        building.checked([*command, "--disable-pip-version-check", "-c", pins, *needed], "install")
    except Unmeasurable as error:
        what = " ".join(wanted.packages) or f"the packages of {wanted.python}"
        raise Unmeasurable(f"environment: cannot install {what}: {_reason(str(error))}") from None


def _needed() -> Iterator[str]:
    """The requirements of what a measurement imports, without extras."""
    for name in MEASURED:
        try:
            found = requires(name) or ()
        except PackageNotFoundError:
            continue
        yield from (one for one in found if "extra ==" not in one)
        yield from () if name == "lossimpl" else (name,)


def _reason(text: str) -> str:
    """The most telling line of pip's errors.

    >>> _reason("install: ERROR: Could not find a version of x==9\\nERROR: No matching distribution found for x==9")
    'No matching distribution found for x==9'
    """
    lines = [line.removeprefix("install: ").removeprefix("ERROR: ") for line in text.splitlines() if line.strip()]
    return next((line for word in REASONS for line in lines if word in line), lines[0] if lines else "no message")
