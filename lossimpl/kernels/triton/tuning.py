"""Every block size and number of warps, with its reason.

Facts behind them: a Hopper multiprocessor has 65,536 registers and 2,048 threads; full bandwidth needs about 20 KB in
flight per multiprocessor (3 TB/s at about 0.8 us latency, over 132 of them); the widest load is 16 bytes per thread.
tests/kernels/triton/test_triton_compile.py checks the compiler's output: spills and widths of memory accesses.
"""

from dataclasses import dataclass

# Elementwise: 4 warps x 16 elements per thread. Two 16-byte loads per operand are in flight in bf16, four in float32.
ELEMENTWISE_BLOCK = 2048
ELEMENTWISE_WARPS = 4

# Pointwise functions with logarithms and quotients need many registers per element: half as many elements keep them
# under 128 registers per thread, so that at least four programs fit a multiprocessor.
HEAVY_BLOCK = 1024
HEAVY = ("log_cosh_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "sigmoid_focal_loss")

# Programs per multiprocessor in a grid that strides over the elements, which bounds the number of partial sums.
PROGRAMS_PER_MULTIPROCESSOR = 16

# A row of at most so many elements stays in registers between the loss and the gradient: with 16 elements per thread
# the kernel takes under 64 registers, so that 32 warps fit a multiprocessor. A longer row is read twice, the second
# time backwards, since its end is still in the L2 cache. Long rows: two 16-byte vectors per thread and tile, and those
# of the next tile in flight: 32 KB per multiprocessor with two programs, while it computes.
ROW_ON_CHIP = 8192
ELEMENTS_PER_THREAD = 16
LONG_ROW_WARPS = 16
LONG_ROW_VECTORS = 1024

# The register limit per thread, so that two programs of 16 warps fit a multiprocessor. Label smoothing and float64 need
# more and would spill.
ROW_REGISTERS = 64

# A longer row is shared by so many programs that each has at most so many bytes of it: two to three programs of 16
# warps on each of 132 multiprocessors then work on 27 to 40 MB of rows, half of which on average is to be read again,
# and the L2 cache has 50 MB. With whole rows, a first kernel on an H100 fell from 0.94 of the ceiling at 64 KB per row
# to 0.81 at 256 KB and 0.71 at 512 KB. The programs of a row wait for each other (see `parts`), so a row has no more
# of them than a small GPU runs at once.
PART_BYTES = 100 * 1024
MAX_PARTS = 32

# Up to so many rows, each program computes the divisor of the mean by itself: 8 KB of targets are read from the L2
# cache faster than another kernel is launched.
COUNTED_ROWS = 1024

# Reductions of partial results and of the divisor: one program, or first one program per this many elements.
REDUCE_BLOCK = 4096
REDUCE_WARPS = 8

# Triplet: a program computes as many rows as form a tile of this many elements; longer rows are walked in such tiles.
TRIPLET_TILE = 2048
TRIPLET_WARPS = 4


@dataclass(frozen=True)
class RowTile:
    """How one program covers a row: `lanes` vectors of `vector` elements at a time, by `warps` warps."""

    lanes: int
    vector: int
    warps: int


def power_of_two(n: int) -> int:
    """The smallest power of two that is at least max(n, 1)."""
    return 1 << max(n - 1, 0).bit_length()


def stays_on_chip(width: int, itemsize: int) -> bool:
    """Whether a row stays in registers; a float64 takes two of them."""
    return width * max(itemsize // 4, 1) <= ROW_ON_CHIP


def row_parts(width: int, itemsize: int, multiprocessors: int) -> int:
    """How many programs share a row that is read twice."""
    return min(power_of_two(-(-width * itemsize // PART_BYTES)), MAX_PARTS, power_of_two(multiprocessors // 2 + 1))


def count_block(rows: int) -> int:
    """The block that covers all targets, 0 if they are too many; a power of two, since every size is compiled."""
    return max(power_of_two(rows), 32) if rows <= COUNTED_ROWS else 0


def row_tile(width: int, itemsize: int) -> RowTile:
    """The tile for a row of `width` elements of `itemsize` bytes, read in 16-byte vectors."""
    vector = 16 // itemsize
    if not stays_on_chip(width, itemsize):
        return RowTile(LONG_ROW_VECTORS, vector, LONG_ROW_WARPS)
    lanes = power_of_two(-(-width // vector))
    warps = min(max(lanes * vector // (32 * ELEMENTS_PER_THREAD), 1), LONG_ROW_WARPS)
    return RowTile(lanes, vector, warps)
