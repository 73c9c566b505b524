"""Every choice of block size and number of warps, in one table, with the reason of each.

Facts behind them: a Hopper multiprocessor holds 65,536 registers and 2,048 threads; bandwidth needs some 20 KB in
flight on each of its multiprocessors (3 TB/s at about 0.8 us, over 132 of them); the widest load is 16 bytes a thread.
`python -m pytest tests/kernels/triton/test_triton_compile.py` holds what the compiler makes of them: spills, widths.
"""

from dataclasses import dataclass

# Elementwise: 4 warps x 16 elements a thread. In bf16 two 16-byte loads of each operand are in flight, in float32 four.
ELEMENTWISE_BLOCK = 2048
ELEMENTWISE_WARPS = 4

# Point functions with logarithms and quotients hold many values an element: half the elements keep them under 128
# registers a thread, so that four programs or more share a multiprocessor.
HEAVY_BLOCK = 1024
HEAVY = ("log_cosh_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "sigmoid_focal_loss")

# A grid of this many programs a multiprocessor strides over the elements, so that partial sums stay some thousands.
PROGRAMS_PER_MULTIPROCESSOR = 16

# A row of at most so many elements stays in registers between the loss and the gradient: at 16 elements a thread the
# kernel takes under 64 registers, so that 32 warps of rows share a multiprocessor. A longer row is read twice, the
# second time backwards: its end is what the L2 cache still holds. Long rows: two 16-byte vectors a thread and tile, and
# the next tile's two on their way: 32 KB on a multiprocessor that two programs share, while it computes.
ROW_ON_CHIP = 8192
ELEMENTS_PER_THREAD = 16
LONG_ROW_WARPS = 16
LONG_ROW_VECTORS = 1024

# What the compiler may take a thread, so that two programs of 16 warps share a multiprocessor. Label smoothing and
# float64 need more, and would spill.
ROW_REGISTERS = 64

# A longer row is shared by so many programs that each has at most so many bytes of it: two to three programs of 16
# warps on each of 132 multiprocessors then are at 27 to 40 MB of rows, of which half on the average waits to be read
# again, in an L2 cache of 50 MB. With whole rows a first kernel fell on an H100 from 0.94 of the ceiling at 64 KB a row
# to 0.81 at 256 KB and 0.71 at 512 KB. See `parts`: its programs wait for each other, so a row has no more of them than
# a small GPU holds at once.
PART_BYTES = 100 * 1024
MOST_PARTS = 32

# So few rows that each program adds up the divisor of the mean by itself: 8 KB of targets, read from the L2 cache in
# less time than the launch of one more kernel takes.
COUNTED_ROWS = 1024

# Reductions of partial results and of the divisor: one program, or this many elements a program first.
REDUCE_BLOCK = 4096
REDUCE_WARPS = 8

# Triplet: a program takes as many rows as make a tile of this many elements; longer rows are walked in such tiles.
TRIPLET_TILE = 2048
TRIPLET_WARPS = 4


@dataclass(frozen=True)
class RowTile:
    """How one program covers a row: `lanes` vectors of `vector` elements at a time, by `warps` warps."""

    lanes: int
    vector: int
    warps: int


def power_of_two(n: int) -> int:
    """The smallest power of two that is at least n and at least 1."""
    return 1 << max(n - 1, 0).bit_length()


def stays_on_chip(width: int, itemsize: int) -> bool:
    """Whether a row is held in registers; a float64 takes two of them."""
    return width * max(itemsize // 4, 1) <= ROW_ON_CHIP


def row_parts(width: int, itemsize: int, multiprocessors: int) -> int:
    """How many programs share a row that is read twice."""
    return min(power_of_two(-(-width * itemsize // PART_BYTES)), MOST_PARTS, power_of_two(multiprocessors // 2 + 1))


def count_block(rows: int) -> int:
    """The block that covers all targets, 0 where they are too many; few sizes, since each is compiled."""
    return max(power_of_two(rows), 32) if rows <= COUNTED_ROWS else 0


def row_tile(width: int, itemsize: int) -> RowTile:
    """The tile for a row of `width` elements of `itemsize` bytes, read in 16-byte vectors."""
    vector = 16 // itemsize
    if not stays_on_chip(width, itemsize):
        return RowTile(LONG_ROW_VECTORS, vector, LONG_ROW_WARPS)
    lanes = power_of_two(-(-width // vector))
    warps = min(max(lanes * vector // (32 * ELEMENTS_PER_THREAD), 1), LONG_ROW_WARPS)
    return RowTile(lanes, vector, warps)
