"""What the compiler makes of the kernels for an H100, seen without one: they compile, stay off the stack, load widely.

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
    """One record for each kernel of the group: name, registers, stack, moves of global memory, warps."""
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
    names = {one["kernel"].split()[0] for one in compile_group("variants")}
    assert {"focal", "smooth", "probability", "triplet", "finish", "scale", "valid", "mse_loss"} <= names


def test_no_kernel_of_a_training_step_spills(usual):
    assert {one["kernel"]: one["stack"] for one in usual if one["stack"]} == {}


def test_two_programs_or_more_share_a_multiprocessor(usual):
    """With one program alone, nothing is in flight while it waits at its barrier."""
    shared = {one["kernel"]: REGISTERS // (one["registers"] * 32 * one["warps"]) for one in usual}
    assert {name: count for name, count in shared.items() if count < 2} == {}


@pytest.mark.parametrize("width", [1000, 8192, 32000, 50257, 128256])
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_rows_of_any_width_are_moved_16_bytes_at_a_time(usual, dtype, width):
    """An odd vocabulary too: only its two edges may be narrow, one load and one store."""
    (one,) = (one for one in usual if one["kernel"] == f"class rows {dtype} {width}")
    wide = [move for move in one["moves"] if move.endswith("v4.b32")]
    narrow = {"bf16": ".b16", "fp32": ".b32"}[dtype]
    assert len([move for move in wide if move.startswith("ld")]) >= 2
    assert len([move for move in wide if move.startswith("st.global.cs")]) >= 2
    edge = [move for move in one["moves"] if move.startswith("st.global.cs") and not move.endswith("v4.b32")]
    assert edge == ([f"st.global.cs{narrow}"] if width % 8 else [])


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_elements_are_moved_16_bytes_at_a_time_whatever_their_number(usual, dtype):
    """n is not known to be even here; the fewer than a vector that remain are the only narrow moves."""
    for one in usual:
        if one["kernel"] in (f"mse_loss {dtype}", f"sigmoid_focal_loss with gamma 2 {dtype}"):
            assert len([move for move in one["moves"] if move == "ld.global.v4.b32"]) >= 2, one
            assert len([move for move in one["moves"] if move == "st.global.v4.b32"]) >= 1, one


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_what_the_first_reading_keeps_in_the_cache_the_second_lets_go(usual, dtype):
    """Lines marked to be evicted last and read no more would stay, in the way of others and past a flush."""
    (one,) = (one for one in usual if one["kernel"] == f"class rows {dtype} 128256")
    reads = [move for move in one["moves"] if move.startswith("ld") and "v4" in move]
    assert {"evict_last" in move or "evict_first" in move for move in reads} == {True}
    assert sum("evict_last" in move for move in reads) == sum("evict_first" in move for move in reads)


@pytest.mark.parametrize("width", [50257, 128256])
def test_what_a_program_waits_for_is_read_once_by_each_thread_of_a_warp(usual, width):
    """Of fewer elements than a warp has threads, each is loaded by several threads, and only one of them is looked at.

    The others may have loaded before it was there; PTX orders loads of two threads in no way.
    """
    (one,) = (one for one in usual if one["kernel"] == f"class rows fp32 {width}")
    assert one["waits"] == [32, 32]
