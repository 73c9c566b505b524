"""The compiled kernels for an H100, inspected without one: they compile, do not spill, and use wide memory accesses.

Triton brings ptxas along. The kernels are compiled in a process of their own, since this one may interpret them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REGISTERS = 65536  # of one multiprocessor of compute capability 9.0 (CUDA C++ Programming Guide, table of limits)


def compile_group(group):
    """One record per kernel of the group: name, registers, stack, accesses of global memory, warps."""
    pytest.importorskip("triton", reason="triton is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(HERE.parents[2]), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(HERE / "compile_for_hopper.py"), group]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def usual():
    """The kernels of a training step with default options, in bf16 and float32."""
    return compile_group("usual")


@pytest.mark.slow
def test_every_other_branch_compiles():
    """The group of variants compiles, and includes every family of kernels."""
    names = {one["kernel"].split()[0] for one in compile_group("variants")}
    assert {"focal", "smooth", "probability", "triplet", "finish", "scale", "valid", "mse_loss"} <= names


def test_no_kernel_of_a_training_step_spills(usual):
    """No kernel uses stack memory."""
    assert {one["kernel"]: one["stack"] for one in usual if one["stack"]} == {}


def test_at_least_two_programs_fit_a_multiprocessor(usual):
    """A single program would leave memory idle while it waits at a barrier."""
    shared = {one["kernel"]: REGISTERS // (one["registers"] * 32 * one["warps"]) for one in usual}
    assert {name: count for name, count in shared.items() if count < 2} == {}


@pytest.mark.parametrize("width", [1000, 8192, 32000, 50257, 128256])
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_rows_of_any_width_are_moved_16_bytes_at_a_time(usual, dtype, width):
    """Also for odd vocabularies: only the two edges are narrow, with one load and one store."""
    (one,) = (one for one in usual if one["kernel"] == f"class rows {dtype} {width}")
    wide = [move for move in one["moves"] if move.endswith("v4.b32")]
    narrow = {"bf16": ".b16", "fp32": ".b32"}[dtype]
    assert len([move for move in wide if move.startswith("ld")]) >= 2
    assert len([move for move in wide if move.startswith("st.global.cs")]) >= 2
    edge = [move for move in one["moves"] if move.startswith("st.global.cs") and not move.endswith("v4.b32")]
    assert edge == ([f"st.global.cs{narrow}"] if width % 8 else [])


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_elements_are_moved_16_bytes_at_a_time_whatever_their_number(usual, dtype):
    """The compiler does not know n here; only the remainder of less than a vector uses narrow accesses."""
    for one in usual:
        if one["kernel"] in (f"mse_loss {dtype}", f"sigmoid_focal_loss with gamma 2 {dtype}"):
            assert len([move for move in one["moves"] if move == "ld.global.v4.b32"]) >= 2, one
            assert len([move for move in one["moves"] if move == "st.global.v4.b32"]) >= 1, one


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_lines_kept_in_the_cache_are_released_by_the_second_read(usual, dtype):
    """Lines marked evict_last and not read again would displace others, and survive a flush of the cache."""
    (one,) = (one for one in usual if one["kernel"] == f"class rows {dtype} 128256")
    reads = [move for move in one["moves"] if move.startswith("ld") and "v4" in move]
    assert {"evict_last" in move or "evict_first" in move for move in reads} == {True}
    assert sum("evict_last" in move for move in reads) == sum("evict_first" in move for move in reads)


@pytest.mark.parametrize("width", [50257, 128256])
def test_words_waited_for_are_loaded_once_per_thread_of_a_warp(usual, width):
    """With fewer elements than a warp has threads, several threads load each element and only one load is checked.

    The other loads may come first: PTX does not order the loads of two threads.
    """
    (one,) = (one for one in usual if one["kernel"] == f"class rows fp32 {width}")
    assert one["waits"] == [32, 32]
