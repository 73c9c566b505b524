"""Claims about the lookup tables of the AVX-512 kernels, with each entry recomputed to 30 digits (mpmath)."""

from __future__ import annotations

import itertools
import re

import mpmath
import numpy as np
import pytest

from lossimpl.kernels.cpp import builder

HEADER = (builder.SOURCES / "avx512_tables.h").read_text()


def table(name: str) -> list[str]:
    """The entries of a table, as written in the source."""
    found = re.search(rf" {name}\[(\d+)\] = {{(.*?)}};", HEADER, re.DOTALL)
    assert found is not None
    entries = [entry.strip() for entry in found[2].split(",")]
    assert len(entries) == int(found[1])
    return entries


def floats(name: str) -> list[float]:
    """The entries of a table of floats, as the compiler rounds them."""
    return [float(np.float32(entry.rstrip("f"))) for entry in table(name)]


def test_powers_of_two() -> None:
    """Entry j is the bit pattern of the float nearest to 2^(j/16 - 88), minus j 2^19."""
    for j, entry in enumerate(table("kPowers")):
        nearest = np.float32(float(mpmath.mpf(2) ** (mpmath.mpf(j) / 16 - 88))).view(np.uint32)
        assert int(entry, 16) == int(nearest) - (j << 19)


def test_inverses_of_one_plus_e() -> None:
    """Entry j is 1 / (1 + j/15) to three digits, exactly 1 for j = 0."""
    inverses = floats("kInverses")
    assert inverses[0] == 1
    assert inverses == pytest.approx([1 / (1 + j / 15) for j in range(16)], rel=2.5e-4)


def test_inverses_of_mantissas() -> None:
    """Entry j is the reciprocal of the midpoint of its interval to three digits, and 1 for the interval around 1."""
    starts = [(47 + 2 * j) / 64 if j < 9 else 1 + (2 * j - 17) / 32 for j in range(17)]
    middles = [(start + end) / 2 for start, end in itertools.pairwise(starts)]
    inverses = floats("kMantissaInverses")
    assert inverses[8] == 1
    assert inverses[:8] == pytest.approx([1 / middle for middle in middles[:8]], rel=2.5e-4)
    assert inverses[9:] == pytest.approx([1 / middle for middle in middles[9:]], rel=2.5e-4)


@pytest.mark.parametrize(("inverses", "logs"), [("kInverses", "kLogs"), ("kMantissaInverses", "kMantissaLogs")])
def test_logarithms(inverses: str, logs: str) -> None:
    """Each is -log of its inverse to a tenth of a unit in the last place: the inverses are chosen for that."""
    for inverse, log in zip(floats(inverses), floats(logs), strict=True):
        with mpmath.workdps(30):
            error = abs(mpmath.mpf(log) + mpmath.log(mpmath.mpf(inverse)))
        assert error <= 0.1 * float(np.spacing(np.float32(abs(log))))
