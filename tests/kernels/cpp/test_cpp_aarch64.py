"""The sources that do not need torch compile for aarch64, with the portable path only.

Requires a cross compiler, such as Debian's package g++-aarch64-linux-gnu.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from lossimpl.kernels.cpp import builder

CROSS = "aarch64-linux-gnu-g++"
WITHOUT_TORCH = ("classes", "elementwise", "triplet")


@pytest.mark.skipif(shutil.which(CROSS) is None, reason=f"needs {CROSS}")
@pytest.mark.parametrize("family", WITHOUT_TORCH)
def test_a_family_of_kernels_compiles_for_aarch64(family: str) -> None:
    """With the flags of the build; the sources of x86's instruction sets are empty there."""
    for isa in ("portable", "avx2", "avx512"):
        source = builder.SOURCES / f"{family}_{isa}.cpp"
        command = [CROSS, "-std=c++17", *builder.FLAGS, "-Wall", "-Werror", "-fsyntax-only", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.skipif(shutil.which(CROSS) is None, reason=f"needs {CROSS}")
def test_the_choice_of_an_instruction_set_compiles_for_aarch64() -> None:
    """Only x86 processors are queried for their features."""
    command = [CROSS, "-std=c++17", *builder.FLAGS, "-Werror", "-fsyntax-only", str(builder.SOURCES / "isa.cpp")]
    assert subprocess.run(command, check=False).returncode == 0
