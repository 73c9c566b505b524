"""Claims about the look-up tables of the AVX-512 kernels, each entry recomputed here with 30 digits (mpmath)."""

from __future__ import annotations

import re

import mpmath
import numpy as np
import pytest

from lossimpl.kernels.cpp import builder

HEADER = (builder.SOURCES / "tables.h").read_text()


def table(name: str) -> list[str]:
    """The entries of a table, as they are written."""
    found = re.search(rf" {name}\[(\d+)\] = {{(.*?)}};", HEADER, re.DOTALL)
    assert found is not None
    entries = [entry.strip() for entry in found[2].split(",")]
    assert len(entries) == int(found[1])
    return entries


def floats(name: str) -> list[float]:
    """The entries of a table of floats, as the compiler rounds them."""
    return [float(np.float32(entry.rstrip("f"))) for entry in table(name)]


def test_powers_of_two() -> None:
    """Entry j is the float nearest to 2^(j/16), less j 2^19."""
    for j, entry in enumerate(table("kPowers")):
        nearest = np.float32(float(mpmath.mpf(2) ** (mpmath.mpf(j) / 16))).view(np.uint32)
        assert int(entry, 16) == int(nearest) - (j << 19)


def test_inverses_of_one_plus_e() -> None:
    """Entry j is 1 / (1 + j/31) to four digits, exactly 1 for j = 0, and its difference from one is exact."""
    inverses = floats("kInverses")
    assert inverses[0] == 1
    assert inverses == pytest.approx([1 / (1 + j / 31) for j in range(32)], rel=5e-5)
    assert floats("kInversesLessOne") == [inverse - 1 for inverse in inverses]


def test_inverses_of_mantissas() -> None:
    """Entry j is the inverse of the middle of its interval to four digits, and exactly 1 on both sides of one."""
    middles = [1 + (j + 0.5) / 32 if j < 16 else 0.75 + (j - 15.5) / 64 for j in range(32)]
    inverses = floats("kMantissaInverses")
    assert inverses[0] == inverses[31] == 1
    assert inverses[1:31] == pytest.approx([1 / middle for middle in middles[1:31]], rel=5e-5)


@pytest.mark.parametrize(("inverses", "logs"), [("kInverses", "kLogs"), ("kMantissaInverses", "kMantissaLogs")])
def test_logarithms(inverses: str, logs: str) -> None:
    """Each is -log of its inverse, to a tenth of a unit in the last place (the nearest float: half): chosen so."""
    for inverse, log in zip(floats(inverses), floats(logs), strict=True):
        with mpmath.workdps(30):
            error = abs(mpmath.mpf(log) + mpmath.log(mpmath.mpf(inverse)))
        assert error <= 0.1 * float(np.spacing(np.float32(abs(log))))
