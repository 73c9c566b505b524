# mypy: ignore-errors
# ruff: noqa: RET505
# Reasons: kernels are Triton's language, their arguments have no Python types; and after a `return` under a constant
# condition only an `else` keeps the compiler from compiling the rest.
"""Rows so long that several programs share one: how parts are assigned, and how programs exchange their sums.

A row is read twice, for the sums and for the gradient. The second read costs no bandwidth as long as the L2 cache holds
the rows that all programs are working on. It cannot hold that many long rows, but it can hold their parts.

The sums of a part are one 64-bit word in a zeroed workspace in device memory: the largest logit and the sum of
exp(x - largest), both float32. Such a word is never zero (the sum is at least one, unless the largest logit is -inf),
so a non-zero word is complete: it is written at once and needs no fence. Every program adds up all words in the same
order.

A whole warp reads the words, one per thread, however few there are. If fewer threads had values, the other threads of
the warp would load the same words separately, possibly before they are written, and the wait checks only one load of
each.

Waiting for another program is safe only if that program runs. Parts are therefore assigned by a counter in the order in
which programs start: a program waits for parts assigned before its own, whose programs have started, and for later
parts of the same row, which the next programs take as soon as they start. No program waits for anything else, so all
programs of earlier rows finish and free their slots; a device that can run PARTS programs at once always has slots for
the rest of a row. A kernel on another stream occupies slots only until it ends; if it shares rows too, at most
PARTS - 1 of its programs wait at once, so n such kernels need n (PARTS - 1) + 1 slots. An H100 has 264, more than
enough for eight kernels with 32 parts.
"""

import triton
import triton.language as tl

WARP = tl.constexpr(32)  # threads per warp; no row has more parts
NOTHING = tl.constexpr(-(0x80 << 48))  # the word of a part that does not exist: -inf, and a sum of 0


@triton.jit
def row_and_part(workspace_ptr, PARTS: tl.constexpr):
    """The row and the part of it that this program computes."""
    if PARTS == 1:
        return tl.program_id(0).to(tl.int64), 0
    else:
        ticket = tl.atomic_add(workspace_ptr, 1, sem="relaxed")
        return ticket // PARTS, (ticket % PARTS).to(tl.int32)


@triton.jit
def all_parts(words_ptr, part, top, rest, PARTS: tl.constexpr, WAIT: tl.constexpr):
    """Publish the sums of this part, and return those of all parts: maxima [WARP], sums [WARP]."""
    low = rest.to(tl.int32, bitcast=True).to(tl.int64) & 0xFFFFFFFF
    word = (top.to(tl.int32, bitcast=True).to(tl.int64) << 32) | low
    tl.atomic_xchg(words_ptr + part, word, sem="relaxed")
    numbers = tl.arange(0, WARP)
    words = tl.load(words_ptr + numbers, mask=numbers < PARTS, other=NOTHING, volatile=True)
    if WAIT:
        while tl.sum((words == 0).to(tl.int32), axis=0) > 0:
            words = tl.load(words_ptr + numbers, mask=numbers < PARTS, other=NOTHING, volatile=True)
    return (words >> 32).to(tl.int32).to(tl.float32, bitcast=True), words.to(tl.int32).to(tl.float32, bitcast=True)
